#include "model/families/qwen3.h"

#include <tuple>
#include <vector>

#include "model/decoder.h"

namespace tandem {

namespace {

struct Layer {
  SelfAttention attn;
  ggml_tensor* attn_q_norm;  // ne = [head_dim]
  ggml_tensor* attn_k_norm;  // ne = [head_dim]
  FeedForward ffn;
};

class Qwen3 final : public Decoder {
 public:
  Qwen3(const ModelConfig& config, WeightLoader& loader) : Decoder(config, loader) {
    for (int i = 0; i < config.n_layers; ++i) layers_.push_back(load(LayerLoader(loader, i)));
  }

 private:
  Layer load(const LayerLoader& loader) const;
  ggml_tensor* layer(const Blocks& _, int index, ggml_tensor* x) const override;

  std::vector<Layer> layers_;
};

Layer Qwen3::load(const LayerLoader& loader) const {
  const ModelConfig& c = config();
  return {
      .attn = load_self_attention(loader, c),
      .attn_q_norm = loader.vector("attn_q_norm", c.head_dim),
      .attn_k_norm = loader.vector("attn_k_norm", c.head_dim),
      .ffn = load_feed_forward(loader, c),
  };
}

ggml_tensor* Qwen3::layer(const Blocks& _, int index, ggml_tensor* x) const {
  const Layer& w = layers_[static_cast<std::size_t>(index)];
  ggml_tensor* h = _.norm(x, w.attn.norm);
  ggml_tensor* q = _.norm(_.heads(_.product(w.attn.q, h), config().n_heads), w.attn_q_norm);
  ggml_tensor* k = _.norm(_.heads(_.product(w.attn.k, h), config().n_kv_heads), w.attn_k_norm);
  ggml_tensor* v = _.heads(_.product(w.attn.v, h), config().n_kv_heads);
  ggml_tensor* attended = _.attend(index, _.rotate(index, q), _.rotate(index, k), v);
  std::tie(attended, x) = _.keep_wanted(index, attended, x);
  x = _.add(x, _.product(w.attn.output, attended));
  return _.add(x, _.feed_forward(w.ffn, _.norm(x, w.ffn.norm), GateActivation::kSilu));
}

}  // namespace

ModelConfig read_qwen3_config(const ConfigReader& reader) {
  reader.refuse_window();
  return reader.shared({});
}

std::unique_ptr<const Family> make_qwen3(const ModelConfig& config, WeightLoader& loader) {
  return std::make_unique<Qwen3>(config, loader);
}

}  // namespace tandem
