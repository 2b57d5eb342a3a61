#include "model/families/gemma2.h"

#include <cmath>
#include <tuple>
#include <vector>

#include "model/decoder.h"

namespace tandem {

namespace {

struct Layer {
  SelfAttention attn;
  ggml_tensor* attn_post_norm;  // ne = [n_embd]
  FeedForward ffn;
  ggml_tensor* ffn_post_norm;  // ne = [n_embd]
};

class Gemma2 final : public Decoder {
 public:
  Gemma2(const ModelConfig& config, WeightLoader& loader) : Decoder(config, loader) {
    for (int i = 0; i < config.n_layers; ++i) layers_.push_back(load(LayerLoader(loader, i)));
  }

 private:
  Layer load(const LayerLoader& loader) const;
  ggml_tensor* layer(const Blocks& _, int index, ggml_tensor* x) const override;

  std::vector<Layer> layers_;
};

Layer Gemma2::load(const LayerLoader& loader) const {
  const ModelConfig& c = config();
  return {
      .attn = load_self_attention(loader, c),
      .attn_post_norm = loader.vector("post_attention_norm", c.n_embd),
      .ffn = load_feed_forward(loader, c),
      .ffn_post_norm = loader.vector("post_ffw_norm", c.n_embd),
  };
}

ggml_tensor* Gemma2::layer(const Blocks& _, int index, ggml_tensor* x) const {
  const Layer& w = layers_[static_cast<std::size_t>(index)];
  ggml_tensor* h = _.norm(x, w.attn.norm);
  ggml_tensor* q = _.rotate(index, _.heads(_.product(w.attn.q, h), config().n_heads));
  ggml_tensor* k = _.rotate(index, _.heads(_.product(w.attn.k, h), config().n_kv_heads));
  ggml_tensor* v = _.heads(_.product(w.attn.v, h), config().n_kv_heads);
  ggml_tensor* attended = _.attend(index, _.scale(q, config().query_scale), k, v);
  std::tie(attended, x) = _.keep_wanted(index, attended, x);
  x = _.add(x, _.norm(_.product(w.attn.output, attended), w.attn_post_norm));
  ggml_tensor* inner = _.feed_forward(w.ffn, _.norm(x, w.ffn.norm), GateActivation::kGelu);
  return _.add(x, _.norm(inner, w.ffn_post_norm));
}

}  // namespace

ModelConfig read_gemma2_config(const ConfigReader& reader) {
  constexpr int kLayersOf27B = 46;  // the one size whose queries are scaled by its width, as no key says
  ModelConfig config = reader.shared({.rotates_whole_heads = false});
  config.embedding_scale = std::sqrt(static_cast<float>(config.n_embd));
  const bool is_27b = config.n_layers == kLayersOf27B;
  const int query_width = is_27b ? config.n_embd / config.n_heads : config.head_dim;
  config.query_scale = 1.0F / std::sqrt(static_cast<float>(query_width));
  config.attention_scale = 1.0F;
  config.attention_soft_cap = reader.positive_or("attn_logit_softcapping", 1e6F, 50.0F);
  config.logit_soft_cap = reader.positive_or("final_logit_softcapping", 1e6F, 30.0F);
  reader.read_window(config, 4096, 2, config.rope);
  return config;
}

std::unique_ptr<const Family> make_gemma2(const ModelConfig& config, WeightLoader& loader) {
  return std::make_unique<Gemma2>(config, loader);
}

}  // namespace tandem
