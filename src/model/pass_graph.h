// One pass as a ggml graph under construction: the inputs that every family shares, and attention over the
// cache.
//
// All rows of all sessions go through the matrices together, session after session; only attention is per
// session, over the session's own slots. Sessions with the same adapter are neighbours, and so are those with
// the same head: what an adapter adds, and what a head makes of rows, is a product over one range of rows.
#pragma once

#include <ggml-cpp.h>

#include <map>
#include <memory>
#include <span>
#include <vector>

#include "model/cache.h"
#include "model/wide_copies.h"
#include "model/wide_product.h"

namespace tandem {

class Adapter;
struct Head;

/// One session's part of a pass.
struct SessionPart {
  int first_row = 0;  // among the rows of the pass
  int n_rows = 0;
  int first_slot = 0;  // of the cache
  int n_keys = 0;      // slots that attention reads, from first_slot on

  bool operator==(const SessionPart&) const = default;
};

struct RowRange {
  int first = 0;
  int n = 0;

  bool operator==(const RowRange&) const = default;
};

/// Rows with the same adapter.
struct AdapterPart {
  std::shared_ptr<const Adapter> adapter;
  RowRange rows;    // of the pass
  RowRange logits;  // of the rows whose logits are wanted

  bool operator==(const AdapterPart&) const = default;
};

/// Rows whose logits come from the same head.
struct HeadPart {
  std::shared_ptr<const Head> head;
  RowRange logits;

  bool operator==(const HeadPart&) const = default;
};

/// What makes two passes the same graph.
struct PassShape {
  std::vector<SessionPart> sessions;
  std::vector<AdapterPart> adapters;  // none for rows without one
  std::vector<HeadPart> heads;        // together all rows whose logits are wanted, in order
  int n_rows = 0;
  int n_logits = 0;

  bool operator==(const PassShape&) const = default;
};

/// Which products go through wide copies, and with what.
struct WideChoice {
  explicit WideChoice(int n_threads) : kernels(n_threads) {}

  std::map<std::shared_ptr<const Adapter>, std::unique_ptr<const WideCopies>> copies;  // null: none to be had
  int least_rows = 0;  // of a product; 0: none
  WideKernels kernels;

  /// For rows that all have that adapter; null if there are none.
  const WideCopies* find(const std::shared_ptr<const Adapter>& adapter) const;
};

class PassGraph {
 public:
  PassGraph(const ModelConfig& config, const Cache& cache, Attention attention, PassShape shape,
            WideChoice& wide);

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
  /// matrix x, through the wide copy of the matrix; null if that is not the way to go: for few rows, for
  /// rows of several adapters, for a matrix without a copy. What the adapter changes is in it.
  ggml_tensor* wide_product(const ggml_tensor* matrix, ggml_tensor* x);
  /// activation(gate) * up for a wide product with `matrix`; null if there will be none.
  ggml_tensor* wide_gate(const ggml_tensor* matrix, GateActivation activation, ggml_tensor* gate,
                         ggml_tensor* up);
  /// Of the next head.
  void add_logits(ggml_tensor* logits);

  // For the network, once built.
  const PassShape& shape() const { return shape_; }
  ggml_cgraph* graph() const { return graph_; }
  ggml_tensor* slots() const { return slots_; }  // ne = [n_rows]
  ggml_tensor* logit_rows() const {
    return logit_rows_;
  }  // ne = [n_logits], null if all rows are wanted, in order
  // f16, ne = [n_keys, n_rows of the session]; the second is null for a model without sliding windows.
  ggml_tensor* mask(std::size_t session) const { return masks_[session]; }
  ggml_tensor* window_mask(std::size_t session) const {
    return window_masks_.empty() ? nullptr : window_masks_[session];
  }
  ggml_tensor* logits(std::size_t head) const { return logits_[head]; }  // ne = [n_ids, rows of the head]

 private:
  const WideMatrix* wide_copy(const ggml_tensor* matrix, const ggml_tensor* x) const;
  ggml_tensor* input(ggml_type type, int ne0, int ne1 = 1) const;
  ggml_tensor* attend_session(const SessionPart& part, ggml_tensor* mask, ggml_tensor* q, ggml_tensor* k,
                              ggml_tensor* v) const;
  ggml_tensor* attend_plain(ggml_tensor* mask, ggml_tensor* q, ggml_tensor* k, ggml_tensor* v) const;

  const ModelConfig& config_;
  const Cache& cache_;
  Attention attention_;
  PassShape shape_;
  int least_wide_rows_;
  const WideCopies* wide_copies_;  // null: no product takes one
  WideProducts wide_products_;
  ggml_context_ptr context_;
  ggml_cgraph* graph_ = nullptr;
  ggml_tensor* embeddings_ = nullptr;
  ggml_tensor* positions_ = nullptr;
  ggml_tensor* slots_ = nullptr;
  ggml_tensor* logit_rows_ = nullptr;
  std::vector<ggml_tensor*> logits_;
  std::vector<ggml_tensor*> masks_;
  std::vector<ggml_tensor*> window_masks_;
};

}  // namespace tandem
