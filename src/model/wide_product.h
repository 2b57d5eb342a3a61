// Products with wide matrices as nodes of a pass' graph: whichever of ggml's threads is free takes the next
// outputs. The same arithmetic for any number of threads and of rows.
#pragma once

#include <atomic>
#include <cstddef>
#include <deque>
#include <span>
#include <vector>

#include "model/pass_shape.h"
#include "numeric/vector_loops.h"

struct ggml_context;
struct ggml_tensor;

namespace tandem {

class WideMatrix;

/// Some rows and what they are multiplied with: copies differ by adapter, in nothing but their weights.
struct WideFactor {
  RowRange rows;
  const WideMatrix* matrix;
  const WideMatrix* up = nullptr;  // of a gate: what its outputs are multiplied with
};

/// Of one network, whose passes come one after the other.
class WideProducts {
 public:
  /// The nodes that follow are another graph's.
  void begin() { n_used_ = 0; }

  /// Before each time that the graph is computed.
  void give_out_anew();

  /// matrix x, whose rows the factors share out. x i8, ne = [bytes of n_in numbers in blocks, n_rows]
  /// (wide_rows.h). Returns f32, ne = [n_out, n_rows]. The matrices must outlive the graph.
  ggml_tensor* multiply(ggml_context* context, std::span<const WideFactor> factors, ggml_tensor* x);

  /// activation(matrix x) * (up x), in blocks (wide_rows.h), as the next product takes it. The matrices have
  /// as many outputs, a multiple of kBlockInputs.
  ggml_tensor* gate(ggml_context* context, GateActivation activation, std::span<const WideFactor> factors,
                    ggml_tensor* x);

  struct Node {
    std::vector<WideFactor> factors;
    GateActivation activation;
    const Node* next;             // the graph's next product, null for the last
    std::atomic<int> next_panel;  // of all factors', one factor's after the other's
  };

 private:
  Node& next_node(std::span<const WideFactor> factors, const ggml_tensor* x);

  std::deque<Node> nodes_;  // kept for their memory
  std::size_t n_used_ = 0;  // by the graph under way
};

}  // namespace tandem
