#include "model/families/qwen2.h"

#include <tuple>
#include <vector>

#include "model/decoder.h"

namespace tandem {

namespace {

struct Layer {
  SelfAttention attn;
  ggml_tensor* attn_q_bias;  // ne = [n_embd_q]
  ggml_tensor* attn_k_bias;  // ne = [n_embd_kv]
  ggml_tensor* attn_v_bias;  // ne = [n_embd_kv]
  FeedForward ffn;
};

class Qwen2 final : public Decoder {
 public:
  Qwen2(const ModelConfig& config, WeightLoader& loader) : Decoder(config, loader) {
    for (int i = 0; i < config.n_layers; ++i) layers_.push_back(load(LayerLoader(loader, i)));
  }

 private:
  Layer load(const LayerLoader& loader) const;
  ggml_tensor* layer(const Blocks& _, int index, ggml_tensor* x) const override;

  std::vector<Layer> layers_;
};

Layer Qwen2::load(const LayerLoader& loader) const {
  const ModelConfig& c = config();
  return {
      .attn = load_self_attention(loader, c),
      .attn_q_bias = loader.bias("attn_q", c.n_embd_q()),
      .attn_k_bias = loader.bias("attn_k", c.n_embd_kv()),
      .attn_v_bias = loader.bias("attn_v", c.n_embd_kv()),
      .ffn = load_feed_forward(loader, c),
  };
}

ggml_tensor* Qwen2::layer(const Blocks& _, int index, ggml_tensor* x) const {
  const Layer& w = layers_[static_cast<std::size_t>(index)];
  ggml_tensor* h = _.norm(x, w.attn.norm);
  ggml_tensor* q = _.rotate(index, _.heads(_.product(w.attn.q, h, w.attn_q_bias), config().n_heads));
  ggml_tensor* k = _.rotate(index, _.heads(_.product(w.attn.k, h, w.attn_k_bias), config().n_kv_heads));
  ggml_tensor* v = _.heads(_.product(w.attn.v, h, w.attn_v_bias), config().n_kv_heads);
  ggml_tensor* attended = _.attend(index, q, k, v);
  std::tie(attended, x) = _.keep_wanted(index, attended, x);
  x = _.add(x, _.product(w.attn.output, attended));
  return _.add(x, _.feed_forward(w.ffn, _.norm(x, w.ffn.norm), GateActivation::kSilu));
}

}  // namespace

ModelConfig read_qwen2_config(const ConfigReader& reader) {
  reader.refuse_window();
  return reader.shared({});
}

std::unique_ptr<const Family> make_qwen2(const ModelConfig& config, WeightLoader& loader) {
  return std::make_unique<Qwen2>(config, loader);
}

}  // namespace tandem
