// The wide copies (wide_matrix.h) of a model's matrices as an adapter changes them: with the adapter folded
// in, so that its rows cost no more than others'. Rows of several adapters in one pass have none in common.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <unordered_map>

#include "model/wide_matrix.h"

struct ggml_tensor;

namespace tandem {

class Adapter;
class GgufFile;
struct Head;

/// What copies are made of.
struct WideSource {
  const GgufFile& file;                                 // of the model
  const std::map<std::string, ggml_tensor*>& matrices;  // of its layers, by name
  const std::string& head_name;
  const Head& head;        // that the rows have
  const Adapter* adapter;  // null: the model as it is
};

/// What copies of it take.
std::size_t wide_copy_bytes(const WideSource& source);

class WideCopies {
 public:
  /// Copies what is quantised; what the file has in f32, f16 or bf16 stays as exact as it is.
  /// Cost: reading, rounding and storing every weight.
  WideCopies(const WideSource& source, const WideMatrix::ShareOut& share_out);

  /// Null for a matrix without a copy.
  const WideMatrix* find(const ggml_tensor* matrix) const;
  bool empty() const { return copies_.empty(); }

 private:
  std::unordered_map<const ggml_tensor*, WideMatrix> copies_;
};

}  // namespace tandem
