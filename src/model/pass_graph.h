// One pass as a ggml graph under construction: the inputs that every family shares, and attention over the
// cache.
#pragma once

#include <ggml-cpp.h>

#include <cstddef>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "model/cache.h"
#include "model/pass_shape.h"
#include "model/wide_attention.h"
#include "model/wide_copies.h"
#include "model/wide_product.h"
#include "numeric/vector_loops.h"

namespace tandem {

/// Which passes are wide, with what copies.
struct WideChoice {
  std::map<std::shared_ptr<const Adapter>, std::unique_ptr<const WideCopies>> copies;  // null: none to be had
  int least_rows = 0;  // of a product; 0: none

  /// Null if there are none for rows that have that adapter.
  const WideCopies* find(const std::shared_ptr<const Adapter>& adapter) const;
};

/// Of one network: built anew where a pass has another shape than the last one, in the same memory.
class PassGraph {
 public:
  /// Without rows yet. What it is given must outlive it.
  PassGraph(const ModelConfig& config, const Cache& cache, Attention attention, const WideChoice& wide,
            int n_threads);

  /// Begins a graph of this shape, which becomes the graph's own; `shape` is empty then.
  void begin(PassShape& shape);
  /// Back to no rows: no adapter and no copy is held any more.
  void clear();
  /// Before each time that the graph is computed.
  void start() { wide_products_.give_out_anew(); }

  // For families, while building.
  ggml_context* context() const { return context_.get(); }
  ggml_tensor* embeddings() const { return embeddings_; }  // ne = [n_embd, n_rows]
  ggml_tensor* positions() const { return positions_; }    // ne = [n_rows], doubled (see rotate)
  int n_rows() const { return shape_.n_rows; }
  /// RoPE of a layer at the rows' positions. x ne = [head_dim, n_heads, n_rows]; `factors`
  /// ne = [n_rope_dims / 2] divide the speeds, and may be null.
  ggml_tensor* rotate(int layer, ggml_tensor* x, ggml_tensor* factors) const;
  /// Writes k and v [n_embd_kv, n_rows] into their slots and attends from q [head_dim, n_heads, n_rows] to
  /// what the layer may see. Returns ne = [n_embd_q, n_rows].
  ggml_tensor* attend(int layer, ggml_tensor* q, ggml_tensor* k, ggml_tensor* v) const;
  /// The rows whose logits are wanted, of x ne = [n, n_rows]. Returns ne = [n, n_logits].
  ggml_tensor* select_logit_rows(ggml_tensor* x) const;
  /// matrix x, through the wide copies of the matrix; null if that is not the way to go: for few rows, or
  /// for a matrix without a copy. What adapters change is in their copies.
  ///   x  of all rows of the pass, or of those whose logits are wanted
  ggml_tensor* wide_product(const ggml_tensor* matrix, ggml_tensor* x);
  /// The same for a head and its rows.
  ggml_tensor* wide_head_product(const HeadPart& part, ggml_tensor* x);
  /// x / rms(x) * gain in a wide pass; null in another.
  ggml_tensor* wide_norm(ggml_tensor* x, ggml_tensor* gain);
  /// activation(gate x) * (up x) for a wide product with `down`; null if one of the three goes another way.
  ggml_tensor* wide_gate(GateActivation activation, const ggml_tensor* gate, const ggml_tensor* up,
                         const ggml_tensor* down, ggml_tensor* x);
  /// Of the next head.
  void add_logits(ggml_tensor* logits);

  // For the network, once built.
  const PassShape& shape() const { return shape_; }
  ggml_cgraph* graph() const { return graph_; }
  ggml_tensor* slots() const { return slots_; }  // ne = [n_rows]
  ggml_tensor* logit_rows() const {
    return logit_rows_;
  }  // ne = [n_logits], null if all rows are wanted, in order
  // f16, of each session [n_rows, n_keys], one after the other; the second is null for a model without
  // sliding windows.
  ggml_tensor* mask() const { return mask_; }
  ggml_tensor* window_mask() const { return window_mask_; }
  /// i32, of each session [n_keys], one after the other: its keys in the order in which attention sums them.
  /// Null where ggml's attends, which takes them as they lie.
  ggml_tensor* key_order() const { return key_order_; }
  ggml_tensor* logits(std::size_t head) const { return logits_[head]; }  // ne = [n_ids, rows of the head]

 private:
  void make_context();
  void make_inputs();
  void make_wide_parts();
  bool attends_wide() const;
  bool takes_copies(const ggml_tensor* x) const;
  bool has_copies(const ggml_tensor* matrix) const;
  std::span<const WideFactor> wide_factors(const ggml_tensor* x, const ggml_tensor* matrix,
                                           const ggml_tensor* up = nullptr);
  ggml_tensor* in_blocks(ggml_tensor* x);
  ggml_tensor* input(ggml_type type, std::int64_t ne0, std::int64_t ne1 = 1) const;
  ggml_tensor* attend_session(const SessionPart& part, ggml_tensor* masks, ggml_tensor* q, ggml_tensor* k,
                              ggml_tensor* v) const;
  ggml_tensor* attend_plain(ggml_tensor* mask, ggml_tensor* q, ggml_tensor* k, ggml_tensor* v) const;

  const ModelConfig& config_;
  const Cache& cache_;
  Attention attention_;
  const WideChoice& wide_;
  WideProducts wide_products_;
  WideAttention wide_attention_;
  std::vector<std::byte> memory_;  // of the nodes' descriptions

  PassShape shape_;
  /// Rows with the same copies.
  struct WidePart {
    const WideCopies* copies;
    RowRange rows;    // of the pass
    RowRange logits;  // of the rows whose logits are wanted
  };
  std::vector<WidePart> wide_parts_;  // together all rows; empty: no product takes a copy
  std::vector<WideFactor> factors_;   // of the product at hand
  struct {
    ggml_tensor *y = nullptr, *x = nullptr, *gain = nullptr;
  } last_norm_;  // of a wide pass
  struct {
    ggml_tensor *y = nullptr, *x = nullptr;
  } last_blocks_;  // y is x, as products take it
  ggml_context_ptr context_;
  ggml_cgraph* graph_ = nullptr;
  ggml_tensor* embeddings_ = nullptr;
  ggml_tensor* positions_ = nullptr;
  ggml_tensor* slots_ = nullptr;
  ggml_tensor* logit_rows_ = nullptr;
  std::vector<ggml_tensor*> logits_;
  ggml_tensor* mask_ = nullptr;
  ggml_tensor* window_mask_ = nullptr;
  ggml_tensor* key_order_ = nullptr;
};

}  // namespace tandem
