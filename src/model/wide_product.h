// Products with wide matrices as nodes of a pass' graph: outputs are shared out over ggml's threads, and each
// thread calls oneDNN for its panels. The same arithmetic for any number of threads.
#pragma once

#include <memory>

struct ggml_context;
struct ggml_tensor;

namespace tandem {

class WideMatrix;

/// Of one network, whose passes come one after the other: with oneDNN's programs for the shapes that have
/// come up, and the memory they work in.
class WideProducts {
 public:
  explicit WideProducts(int n_threads);
  WideProducts(const WideProducts&) = delete;
  WideProducts& operator=(const WideProducts&) = delete;
  ~WideProducts();

  /// The nodes that follow are another graph's.
  void begin();
  /// matrix x. x f32 or bf16, ne = [n_in, n_rows]. Returns f32, ne = [n_out, n_rows]. Cost where a shape is
  /// new: a fraction of a millisecond for each of its programs.
  ggml_tensor* product(ggml_context* context, const WideMatrix& matrix, ggml_tensor* x);
  /// No graph has any of the matrices any more.
  void forget_matrices();

  struct Impl;

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace tandem
