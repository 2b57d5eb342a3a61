// A GGUF file made of another one: the same tensors, matrices in another type or with other values; keys
// stay, but for those that speak of the old layout. What quantize and merge have in common.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>

struct gguf_context;

namespace tandem {

class GgufFile;
struct StoredTensor;

/// Changes rows [first_row, ...) of a matrix in place; `rows` has some whole ones.
using RowEdit = std::function<void(int first_row, std::span<float> rows)>;

struct RewriteTask {
  /// ggml_type that a matrix gets; empty: its own.
  std::function<int(const StoredTensor& matrix)> type_of;
  /// What happens to its values; empty, or an empty one: nothing.
  std::function<RowEdit(const StoredTensor& matrix)> edit_of;
  std::function<void(gguf_context* keys)> edit_keys;
  std::function<void(double)> progress;  // from 0 to 1
};

struct RewriteResult {
  std::size_t bytes_before = 0;
  std::size_t bytes_after = 0;
  int n_matrices = 0;  // written anew; the other tensors are copied as they are
};

/// ggml_type of a type's name ("q8_0"). Throws Error{kInvalidArgument} for one that matrices cannot be
/// rewritten in.
int parse_matrix_type(const std::string& name);

/// Two-dimensional weights are matrices. Memory: some rows of one at a time. `output` appears whole or not at
/// all. Throws Error{kInvalidArgument} for a type whose blocks do not divide a row, Error{kIo} if the file
/// cannot be written.
RewriteResult rewrite_gguf(const GgufFile& input, const std::string& output, const RewriteTask& task);

}  // namespace tandem
