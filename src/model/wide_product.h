// Products with wide matrices as nodes of a pass' graph: outputs are shared out over ggml's threads, and each
// thread calls oneDNN for its panels. The same arithmetic for any number of threads.
#pragma once

#include <cstddef>
#include <deque>
#include <memory>

struct ggml_context;
struct ggml_tensor;

namespace tandem {

class WideMatrix;

/// oneDNN's programs for the shapes that have come up, with the memory they work in: of one network, whose
/// passes come one after the other.
class WideKernels {
 public:
  explicit WideKernels(int n_threads);
  WideKernels(const WideKernels&) = delete;
  WideKernels& operator=(const WideKernels&) = delete;
  ~WideKernels();

  struct Tile;  // some rows times a panel
  /// Made when first asked for. Cost then: a millisecond, to generate code.
  Tile& tile(int n_in, int n_rows);

 private:
  friend class WideProducts;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Adds the nodes of one graph; must live as long as the graph is computed.
class WideProducts {
 public:
  explicit WideProducts(WideKernels& kernels);
  ~WideProducts();

  enum class Output { kF32, kBf16 };
  /// scale * matrix x. x bf16, contiguous, ne = [n_in, n_rows]. Returns ne = [n_out, n_rows].
  ggml_tensor* product(ggml_context* context, const WideMatrix& matrix, ggml_tensor* x, float scale = 1,
                       Output output = Output::kF32);
  /// y with matrix x added in place to its rows from `first_row` on. y f32, ne = [n_out, any].
  ggml_tensor* add_product(ggml_context* context, ggml_tensor* y, int first_row, const WideMatrix& matrix,
                           ggml_tensor* x);

  struct Call;

 private:
  Call& call(const WideMatrix& matrix, const ggml_tensor* x);

  WideKernels& kernels_;
  std::deque<std::unique_ptr<Call>> calls_;
};

}  // namespace tandem
