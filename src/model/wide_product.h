// Products with wide matrices as nodes of a pass' graph: outputs are shared out over ggml's threads, and each
// thread calls oneDNN for its panels. The same arithmetic for any number of threads.
#pragma once

#include <deque>
#include <memory>
#include <unordered_map>

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

  int n_threads() const;
  struct Workspace;
  Workspace& workspace(int thread);
  struct Tile;  // some rows times some panels
  /// Made when first asked for. Cost then: a fraction of a millisecond, to generate code.
  Tile& tile(int n_in, int n_rows, int n_panels);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Adds the nodes of one graph; must live as long as the graph is computed.
class WideProducts {
 public:
  explicit WideProducts(WideKernels& kernels);
  ~WideProducts();

  /// matrix x. x f32 or bf16, ne = [n_in, n_rows]. Returns f32, ne = [n_out, n_rows].
  ggml_tensor* product(ggml_context* context, const WideMatrix& matrix, ggml_tensor* x);

  /// What a node of the graph needs when its turn comes.
  struct Call {
    WideKernels& kernels;
    const WideMatrix& matrix;
  };

 private:
  ggml_tensor* rounded(ggml_context* context, ggml_tensor* x);

  WideKernels& kernels_;
  std::deque<Call> calls_;
  std::unordered_map<const ggml_tensor*, ggml_tensor*> rounded_;
};

}  // namespace tandem
