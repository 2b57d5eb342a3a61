#include "model/blocks.h"

#include <fmt/core.h>
#include <ggml.h>

#include "model/adapter.h"

namespace tandem {

ggml_tensor* LayerLoader::matrix(const char* part, int n_in, int n_out) const {
  return loader_.matrix(fmt::format("blk.{}.{}.weight", layer_, part), n_in, n_out);
}

ggml_tensor* LayerLoader::vector(const char* part, int n) const {
  return loader_.vector(fmt::format("blk.{}.{}.weight", layer_, part), n);
}

ggml_tensor* LayerLoader::bias(const char* part, int n) const {
  return loader_.vector(fmt::format("blk.{}.{}.bias", layer_, part), n);
}

SelfAttention load_self_attention(const LayerLoader& loader, const ModelConfig& config) {
  return {
      .norm = loader.vector("attn_norm", config.n_embd),
      .q = loader.matrix("attn_q", config.n_embd, config.n_embd_q()),
      .k = loader.matrix("attn_k", config.n_embd, config.n_embd_kv()),
      .v = loader.matrix("attn_v", config.n_embd, config.n_embd_kv()),
      .output = loader.matrix("attn_output", config.n_embd_q(), config.n_embd),
  };
}

FeedForward load_feed_forward(const LayerLoader& loader, const ModelConfig& config) {
  return {
      .norm = loader.vector("ffn_norm", config.n_embd),
      .gate = loader.matrix("ffn_gate", config.n_embd, config.n_ff),
      .up = loader.matrix("ffn_up", config.n_embd, config.n_ff),
      .down = loader.matrix("ffn_down", config.n_ff, config.n_embd),
  };
}

ggml_tensor* Blocks::norm(ggml_tensor* x, ggml_tensor* gain) const {
  if (ggml_tensor* y = pass_.wide_norm(x, gain)) return y;
  ggml_context* ctx = pass_.context();
  return ggml_mul(ctx, ggml_rms_norm(ctx, x, config_.norm_epsilon), gain);
}

ggml_tensor* Blocks::product(ggml_tensor* matrix, ggml_tensor* x) const {
  if (ggml_tensor* y = pass_.wide_product(matrix, x)) return y;
  ggml_tensor* y = ggml_mul_mat(pass_.context(), matrix, x);
  const bool has_all_rows = x->ne[1] == pass_.n_rows();
  for (const AdapterPart& part : pass_.shape().adapters)
    y = adapt(*part.adapter, matrix, has_all_rows ? part.rows : part.logits, x, y);
  return y;
}

ggml_tensor* Blocks::head_product(const HeadPart& part, ggml_tensor* x) const {
  x = rows_of(x, part.logits);
  if (ggml_tensor* y = pass_.wide_head_product(part, x)) return y;
  ggml_tensor* y = ggml_mul_mat(pass_.context(), part.head->matrix, x);
  for (const AdapterPart& other : pass_.shape().adapters) {
    if (other.adapter->head() != part.head) continue;
    const RowRange rows{other.logits.first - part.logits.first, other.logits.n};
    y = adapt(*other.adapter, part.head->matrix, rows, x, y);
  }
  return y;
}

ggml_tensor* Blocks::rows_of(ggml_tensor* x, RowRange rows) const {
  if (rows.n == x->ne[1]) return x;
  return ggml_view_2d(pass_.context(), x, x->ne[0], rows.n, x->nb[1],
                      x->nb[1] * static_cast<std::size_t>(rows.first));
}

/// y with scale * B (A x) added to some of its rows.
ggml_tensor* Blocks::adapt(const Adapter& adapter, const ggml_tensor* matrix, RowRange rows, ggml_tensor* x,
                           ggml_tensor* y) const {
  const Adapter::Change* change = adapter.find(matrix);
  if (change == nullptr || rows.n == 0) return y;
  ggml_context* ctx = pass_.context();
  ggml_tensor* inner = scale(ggml_mul_mat(ctx, change->a, rows_of(x, rows)), change->scale);
  ggml_tensor* added = ggml_mul_mat(ctx, change->b, inner);  // ne = [n_out, rows]
  if (rows.n == y->ne[1]) return add(y, added);
  const std::size_t offset = y->nb[1] * static_cast<std::size_t>(rows.first);
  return ggml_acc_inplace(ctx, y, added, y->nb[1], y->nb[2], y->nb[3], offset);
}

ggml_tensor* Blocks::product(ggml_tensor* matrix, ggml_tensor* x, ggml_tensor* bias) const {
  return add(product(matrix, x), bias);
}

ggml_tensor* Blocks::add(ggml_tensor* a, ggml_tensor* b) const {
  return ggml_add(pass_.context(), a, b);
}

ggml_tensor* Blocks::scale(ggml_tensor* x, float factor) const {
  return factor == 1.0F ? x : ggml_scale(pass_.context(), x, factor);
}

ggml_tensor* Blocks::soft_cap(ggml_tensor* x, float cap) const {
  if (cap == 0.0F) return x;
  return scale(ggml_tanh(pass_.context(), scale(x, 1.0F / cap)), cap);
}

ggml_tensor* Blocks::heads(ggml_tensor* rows, int n_heads) const {
  return ggml_reshape_3d(pass_.context(), rows, config_.head_dim, n_heads, pass_.n_rows());
}

ggml_tensor* Blocks::heads_of(ggml_tensor* rows, int first_head, int n_heads) const {
  const std::size_t head_size = ggml_row_size(rows->type, config_.head_dim);
  return ggml_view_3d(pass_.context(), rows, config_.head_dim, n_heads, pass_.n_rows(), head_size,
                      rows->nb[1], head_size * static_cast<std::size_t>(first_head));
}

ggml_tensor* Blocks::rotate(int layer, ggml_tensor* x, ggml_tensor* factors) const {
  return pass_.rotate(layer, x, factors);
}

ggml_tensor* Blocks::attend(int layer, ggml_tensor* q, ggml_tensor* k, ggml_tensor* v) const {
  ggml_context* ctx = pass_.context();
  const auto side_by_side = [&](ggml_tensor* x) {  // ne = [n_embd_kv, n_rows]
    return ggml_view_2d(ctx, x, config_.n_embd_kv(), pass_.n_rows(), x->nb[2], 0);
  };
  return pass_.attend(layer, q, side_by_side(k), side_by_side(v));
}

ggml_tensor* Blocks::gate_halves(ggml_tensor* x) const {
  return ggml_swiglu(pass_.context(), x);
}

ggml_tensor* Blocks::feed_forward(const FeedForward& weights, ggml_tensor* x,
                                  GateActivation activation) const {
  ggml_context* ctx = pass_.context();
  ggml_tensor* inner = pass_.wide_gate(activation, weights.gate, weights.up, weights.down, x);
  if (inner == nullptr) {
    ggml_tensor* gate = product(weights.gate, x);
    ggml_tensor* up = product(weights.up, x);
    inner = activation == GateActivation::kSilu ? ggml_swiglu_split(ctx, gate, up)
                                                : ggml_geglu_split(ctx, gate, up);
  }
  return product(weights.down, inner);
}

std::pair<ggml_tensor*, ggml_tensor*> Blocks::keep_wanted(int layer, ggml_tensor* attended,
                                                          ggml_tensor* x) const {
  const bool is_last = layer + 1 == config_.n_layers;
  if (!is_last || pass_.shape().n_logits == 0) return {attended, x};
  return {pass_.select_logit_rows(attended), pass_.select_logit_rows(x)};
}

}  // namespace tandem
