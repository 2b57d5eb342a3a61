// Products with wide matrices as nodes of a pass' graph: whichever of ggml's threads is free takes the next
// outputs. The same arithmetic for any number of threads and of rows.
#pragma once

#include <atomic>
#include <cstddef>
#include <deque>

#include "numeric/vector_loops.h"

struct ggml_context;
struct ggml_tensor;

namespace tandem {

class WideMatrix;

/// Of one network, whose passes come one after the other.
class WideProducts {
 public:
  /// The nodes that follow are another graph's.
  void begin() { n_used_ = 0; }

  /// Before each time that the graph is computed.
  void give_out_anew();

  /// matrix x. x i8, ne = [bytes of n_in numbers in blocks, n_rows] (wide_rows.h). Returns f32,
  /// ne = [n_out, n_rows]. The matrix must outlive the graph.
  ggml_tensor* multiply(ggml_context* context, const WideMatrix& matrix, ggml_tensor* x);

  /// activation(gate x) * (up x), in blocks (wide_rows.h), as the next product takes it. The matrices have as
  /// many outputs, a multiple of kBlockInputs.
  ggml_tensor* gate(ggml_context* context, GateActivation activation, const WideMatrix& gate,
                    const WideMatrix& up, ggml_tensor* x);

  struct Node {
    const WideMatrix* matrix;
    const WideMatrix* up;  // null: a product by itself
    GateActivation activation;
    const WideMatrix* next_matrix;  // of the graph's next product, null for the last
    std::atomic<int> next_panel;
  };

 private:
  Node& next_node(const WideMatrix& matrix, const WideMatrix* up);

  std::deque<Node> nodes_;  // kept for their memory
  std::size_t n_used_ = 0;  // by the graph under way
};

}  // namespace tandem
