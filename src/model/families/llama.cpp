#include "model/families/llama.h"

#include <tuple>
#include <vector>

#include "model/decoder.h"

namespace tandem {

namespace {

struct Layer {
  SelfAttention attn;
  FeedForward ffn;
};

class Llama final : public Decoder {
 public:
  Llama(const ModelConfig& config, WeightLoader& loader) : Decoder(config, loader) {
    rope_freqs_ = loader.find_vector("rope_freqs.weight", config.n_rope_dims / 2);
    for (int i = 0; i < config.n_layers; ++i) layers_.push_back(load(LayerLoader(loader, i)));
  }

 private:
  Layer load(const LayerLoader& loader) const;
  ggml_tensor* layer(const Blocks& _, int index, ggml_tensor* x) const override;

  ggml_tensor* rope_freqs_;  // ne = [n_rope_dims / 2], Llama 3's factors; null: plain RoPE
  std::vector<Layer> layers_;
};

Layer Llama::load(const LayerLoader& loader) const {
  const ModelConfig& c = config();
  return {
      .attn = load_self_attention(loader, c),
      .ffn = load_feed_forward(loader, c),
  };
}

ggml_tensor* Llama::layer(const Blocks& _, int index, ggml_tensor* x) const {
  const Layer& w = layers_[static_cast<std::size_t>(index)];
  ggml_tensor* h = _.norm(x, w.attn.norm);
  ggml_tensor* q = _.rotate(index, _.heads(_.product(w.attn.q, h), config().n_heads), rope_freqs_);
  ggml_tensor* k = _.rotate(index, _.heads(_.product(w.attn.k, h), config().n_kv_heads), rope_freqs_);
  ggml_tensor* v = _.heads(_.product(w.attn.v, h), config().n_kv_heads);
  ggml_tensor* attended = _.attend(index, q, k, v);
  std::tie(attended, x) = _.keep_wanted(index, attended, x);
  x = _.add(x, _.product(w.attn.output, attended));
  return _.add(x, _.feed_forward(w.ffn, _.norm(x, w.ffn.norm), GateActivation::kSilu));
}

}  // namespace

ModelConfig read_llama_config(const ConfigReader& reader) {
  reader.refuse_window();
  return reader.shared({.rope_pairs = RopePairs::kNeighbours});
}

std::unique_ptr<const Family> make_llama(const ModelConfig& config, WeightLoader& loader) {
  return std::make_unique<Llama>(config, loader);
}

}  // namespace tandem
