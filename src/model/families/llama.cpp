#include "model/families/llama.h"

#include <fmt/core.h>
#include <ggml.h>

#include <vector>

#include "model/pass_graph.h"

namespace tandem {

namespace {

struct Layer {
  ggml_tensor* attn_norm;    // ne = [n_embd]
  ggml_tensor* attn_q;       // ne = [n_embd, n_embd_q]
  ggml_tensor* attn_k;       // ne = [n_embd, n_embd_kv]
  ggml_tensor* attn_v;       // ne = [n_embd, n_embd_kv]
  ggml_tensor* attn_output;  // ne = [n_embd_q, n_embd]
  ggml_tensor* ffn_norm;     // ne = [n_embd]
  ggml_tensor* ffn_gate;     // ne = [n_embd, n_ff]
  ggml_tensor* ffn_up;       // ne = [n_embd, n_ff]
  ggml_tensor* ffn_down;     // ne = [n_ff, n_embd]
};

class Llama final : public Family {
 public:
  Llama(const ModelConfig& config, WeightLoader& loader);

  const ModelConfig& config() const override { return config_; }
  const RowTable& token_embeddings() const override { return token_embd_; }
  int n_nodes_per_layer() const override { return 40; }
  void build(PassGraph& pass) const override;

 private:
  Layer load_layer(WeightLoader& loader, int index) const;
  ggml_tensor* attention(PassGraph& pass, int index, ggml_tensor* x) const;
  ggml_tensor* feed_forward(PassGraph& pass, const Layer& layer, ggml_tensor* x) const;
  ggml_tensor* norm(PassGraph& pass, ggml_tensor* x, ggml_tensor* gain) const;

  ModelConfig config_;
  RowTable token_embd_;                // ne = [n_embd, n_vocab]
  ggml_tensor* rope_freqs_ = nullptr;  // ne = [n_rope_dims / 2], null: plain RoPE
  std::vector<Layer> layers_;
  ggml_tensor* output_norm_;  // ne = [n_embd]
  ggml_tensor* output_;       // ne = [n_embd, n_vocab]
};

Llama::Llama(const ModelConfig& config, WeightLoader& loader) : config_(config) {
  token_embd_ = loader.table("token_embd.weight", config.n_embd, config.n_vocab);
  rope_freqs_ = loader.find_vector("rope_freqs.weight", config.n_rope_dims / 2);
  for (int i = 0; i < config.n_layers; ++i) layers_.push_back(load_layer(loader, i));
  output_norm_ = loader.vector("output_norm.weight", config.n_embd);
  const char* head = loader.has("output.weight") ? "output.weight" : "token_embd.weight";
  output_ = loader.matrix(head, config.n_embd, config.n_vocab);
}

Layer Llama::load_layer(WeightLoader& loader, int index) const {
  const auto name = [&](const char* part) { return fmt::format("blk.{}.{}.weight", index, part); };
  const ModelConfig& c = config_;
  return {
      .attn_norm = loader.vector(name("attn_norm"), c.n_embd),
      .attn_q = loader.matrix(name("attn_q"), c.n_embd, c.n_embd_q()),
      .attn_k = loader.matrix(name("attn_k"), c.n_embd, c.n_embd_kv()),
      .attn_v = loader.matrix(name("attn_v"), c.n_embd, c.n_embd_kv()),
      .attn_output = loader.matrix(name("attn_output"), c.n_embd_q(), c.n_embd),
      .ffn_norm = loader.vector(name("ffn_norm"), c.n_embd),
      .ffn_gate = loader.matrix(name("ffn_gate"), c.n_embd, c.n_ff),
      .ffn_up = loader.matrix(name("ffn_up"), c.n_embd, c.n_ff),
      .ffn_down = loader.matrix(name("ffn_down"), c.n_ff, c.n_embd),
  };
}

void Llama::build(PassGraph& pass) const {
  ggml_context* ctx = pass.context();
  ggml_tensor* x = pass.embeddings();  // ne = [n_embd, n_rows]
  for (int i = 0; i < config_.n_layers; ++i) {
    const Layer& layer = layers_[static_cast<std::size_t>(i)];
    ggml_tensor* attended = attention(pass, i, norm(pass, x, layer.attn_norm));
    if (i + 1 == config_.n_layers) {
      // K and V of every row are written; what follows is only for the rows that are read.
      if (pass.shape().n_logits == 0) return;
      attended = pass.select_logit_rows(attended);
      x = pass.select_logit_rows(x);
    }
    x = ggml_add(ctx, x, ggml_mul_mat(ctx, layer.attn_output, attended));
    x = ggml_add(ctx, x, feed_forward(pass, layer, norm(pass, x, layer.ffn_norm)));
  }
  pass.set_logits(ggml_mul_mat(ctx, output_, norm(pass, x, output_norm_)));
}

/// Returns the heads side by side, ne = [n_embd_q, n_rows], before the output matrix.
ggml_tensor* Llama::attention(PassGraph& pass, int index, ggml_tensor* x) const {
  ggml_context* ctx = pass.context();
  const Layer& layer = layers_[static_cast<std::size_t>(index)];
  const auto heads = [&](ggml_tensor* rows, int n_heads) {
    return ggml_reshape_3d(ctx, rows, config_.head_dim, n_heads, pass.n_rows());
  };
  ggml_tensor* q = heads(ggml_mul_mat(ctx, layer.attn_q, x), config_.n_heads);
  ggml_tensor* k = heads(ggml_mul_mat(ctx, layer.attn_k, x), config_.n_kv_heads);
  ggml_tensor* v = ggml_mul_mat(ctx, layer.attn_v, x);
  q = pass.rotate(q, rope_freqs_, GGML_ROPE_TYPE_NORMAL);
  k = pass.rotate(k, rope_freqs_, GGML_ROPE_TYPE_NORMAL);
  k = ggml_reshape_2d(ctx, k, config_.n_embd_kv(), pass.n_rows());
  return pass.attend(index, q, k, v);
}

/// down(silu(gate(x)) * up(x))
ggml_tensor* Llama::feed_forward(PassGraph& pass, const Layer& layer, ggml_tensor* x) const {
  ggml_context* ctx = pass.context();
  ggml_tensor* gate = ggml_mul_mat(ctx, layer.ffn_gate, x);
  ggml_tensor* up = ggml_mul_mat(ctx, layer.ffn_up, x);
  return ggml_mul_mat(ctx, layer.ffn_down, ggml_swiglu_split(ctx, gate, up));
}

ggml_tensor* Llama::norm(PassGraph& pass, ggml_tensor* x, ggml_tensor* gain) const {
  ggml_context* ctx = pass.context();
  return ggml_mul(ctx, ggml_rms_norm(ctx, x, config_.norm_epsilon), gain);
}

}  // namespace

std::unique_ptr<const Family> make_llama(const ModelConfig& config, WeightLoader& loader) {
  return std::make_unique<Llama>(config, loader);
}

}  // namespace tandem
