// The steps that families are made of, each a few nodes of a pass' graph. A family's file puts them together
// the way its equations are written; nothing here knows a family.
//
//   Blocks _(pass, config);
//   ggml_tensor* q = _.rotate(layer, _.heads(_.product(w.q, x), config.n_heads));
#pragma once

#include <utility>

#include "model/config.h"
#include "model/pass_graph.h"
#include "model/weights.h"

namespace tandem {

/// Tensors of one layer by llama.cpp's names: part "attn_q" of layer 3 is "blk.3.attn_q.weight". Throws as
/// WeightLoader.
class LayerLoader {
 public:
  LayerLoader(WeightLoader& loader, int layer) : loader_(loader), layer_(layer) {}

  ggml_tensor* matrix(const char* part, int n_in, int n_out) const;
  ggml_tensor* vector(const char* part, int n) const;
  ggml_tensor* bias(const char* part, int n) const;

 private:
  WeightLoader& loader_;
  int layer_;
};

/// Weights of an attention with a matrix each for queries, keys and values, and the norm in front of it.
struct SelfAttention {
  ggml_tensor* norm;    // ne = [n_embd]
  ggml_tensor* q;       // ne = [n_embd, n_embd_q]
  ggml_tensor* k;       // ne = [n_embd, n_embd_kv]
  ggml_tensor* v;       // ne = [n_embd, n_embd_kv]
  ggml_tensor* output;  // ne = [n_embd_q, n_embd]
};

SelfAttention load_self_attention(const LayerLoader& loader, const ModelConfig& config);

struct FeedForward {
  ggml_tensor* norm;  // ne = [n_embd]
  ggml_tensor* gate;  // ne = [n_embd, n_ff]
  ggml_tensor* up;    // ne = [n_embd, n_ff]
  ggml_tensor* down;  // ne = [n_ff, n_embd]
};
FeedForward load_feed_forward(const LayerLoader& loader, const ModelConfig& config);

class Blocks {
 public:
  Blocks(PassGraph& pass, const ModelConfig& config) : pass_(pass), config_(config) {}

  /// x / rms(x) * gain, along the first dimension: of rows, or of each head by itself.
  ggml_tensor* norm(ggml_tensor* x, ggml_tensor* gain) const;
  /// matrix ne = [n_in, n_out], x ne = [n_in, n_rows]: all rows of the pass, or all that keep_wanted kept.
  /// Returns ne = [n_out, n_rows], rows with an adapter as it changes the matrix.
  ggml_tensor* product(ggml_tensor* matrix, ggml_tensor* x) const;
  ggml_tensor* product(ggml_tensor* matrix, ggml_tensor* x, ggml_tensor* bias) const;
  /// The head's own rows of x ne = [n_embd, n_logits] times the head. Returns ne = [n_ids, rows of the head].
  ggml_tensor* head_product(const HeadPart& part, ggml_tensor* x) const;
  ggml_tensor* add(ggml_tensor* a, ggml_tensor* b) const;
  ggml_tensor* scale(ggml_tensor* x, float factor) const;
  /// cap * tanh(x / cap), or x itself for a cap of 0.
  ggml_tensor* soft_cap(ggml_tensor* x, float cap) const;

  /// rows ne = [head_dim * n_heads, n_rows]. Returns ne = [head_dim, n_heads, n_rows].
  ggml_tensor* heads(ggml_tensor* rows, int n_heads) const;
  /// The `n_heads` heads that begin `first_head` heads into wider rows; a view, of the same shape.
  ggml_tensor* heads_of(ggml_tensor* rows, int first_head, int n_heads) const;
  ggml_tensor* rotate(int layer, ggml_tensor* x, ggml_tensor* factors = nullptr) const;
  /// q, k, v ne = [head_dim, heads, n_rows]. Returns q's heads side by side, ne = [n_embd_q, n_rows].
  ggml_tensor* attend(int layer, ggml_tensor* q, ggml_tensor* k, ggml_tensor* v) const;

  /// silu(the first half of a row) * the second half.
  ggml_tensor* gate_halves(ggml_tensor* x) const;
  /// down(act(gate(x)) * up(x)), without the norm.
  ggml_tensor* feed_forward(const FeedForward& weights, ggml_tensor* x, GateActivation activation) const;

  /// In the last layer, once K and V of every row are written, only rows whose logits are wanted go on.
  std::pair<ggml_tensor*, ggml_tensor*> keep_wanted(int layer, ggml_tensor* attended, ggml_tensor* x) const;

 private:
  ggml_tensor* rows_of(ggml_tensor* x, RowRange rows) const;
  ggml_tensor* adapt(const Adapter& adapter, const ggml_tensor* matrix, RowRange rows, ggml_tensor* x,
                     ggml_tensor* y) const;

  PassGraph& pass_;
  const ModelConfig& config_;
};

}  // namespace tandem
