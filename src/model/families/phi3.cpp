#include "model/families/phi3.h"

#include <fmt/core.h>

#include <tuple>
#include <vector>

#include "model/decoder.h"

namespace tandem {

namespace {

constexpr const char* kShortFactors = "rope_factors_short.weight";
constexpr const char* kLongFactors = "rope_factors_long.weight";

struct Layer {
  ggml_tensor* attn_norm;    // ne = [n_embd]
  ggml_tensor* attn_qkv;     // ne = [n_embd, n_embd_q + 2 * n_embd_kv]
  ggml_tensor* attn_output;  // ne = [n_embd_q, n_embd]
  ggml_tensor* ffn_norm;     // ne = [n_embd]
  ggml_tensor* ffn_up;       // ne = [n_embd, 2 * n_ff]: gate, then up
  ggml_tensor* ffn_down;     // ne = [n_ff, n_embd]
};

class Phi3 final : public Decoder {
 public:
  Phi3(const ModelConfig& config, WeightLoader& loader) : Decoder(config, loader) {
    rope_factors_ = loader.find_vector(kShortFactors, config.n_rope_dims / 2);
    // Checked like the rest, and never used: read_phi3_config keeps positions where the short ones hold.
    loader.find_vector(kLongFactors, config.n_rope_dims / 2);
    for (int i = 0; i < config.n_layers; ++i) layers_.push_back(load(LayerLoader(loader, i)));
  }

 private:
  Layer load(const LayerLoader& loader) const;
  ggml_tensor* layer(const Blocks& _, int index, ggml_tensor* x) const override;

  ggml_tensor* rope_factors_;  // ne = [n_rope_dims / 2], null: plain RoPE
  std::vector<Layer> layers_;
};

Layer Phi3::load(const LayerLoader& loader) const {
  const ModelConfig& c = config();
  return {
      .attn_norm = loader.vector("attn_norm", c.n_embd),
      .attn_qkv = loader.matrix("attn_qkv", c.n_embd, c.n_embd_q() + 2 * c.n_embd_kv()),
      .attn_output = loader.matrix("attn_output", c.n_embd_q(), c.n_embd),
      .ffn_norm = loader.vector("ffn_norm", c.n_embd),
      .ffn_up = loader.matrix("ffn_up", c.n_embd, 2 * c.n_ff),
      .ffn_down = loader.matrix("ffn_down", c.n_ff, c.n_embd),
  };
}

ggml_tensor* Phi3::layer(const Blocks& _, int index, ggml_tensor* x) const {
  const Layer& w = layers_[static_cast<std::size_t>(index)];
  const int n_q = config().n_heads;
  const int n_kv = config().n_kv_heads;
  ggml_tensor* qkv = _.product(w.attn_qkv, _.norm(x, w.attn_norm));
  ggml_tensor* q = _.rotate(index, _.heads_of(qkv, 0, n_q), rope_factors_);
  ggml_tensor* k = _.rotate(index, _.heads_of(qkv, n_q, n_kv), rope_factors_);
  ggml_tensor* v = _.heads_of(qkv, n_q + n_kv, n_kv);
  ggml_tensor* attended = _.attend(index, q, k, v);
  std::tie(attended, x) = _.keep_wanted(index, attended, x);
  x = _.add(x, _.product(w.attn_output, attended));
  return _.add(x, _.product(w.ffn_down, _.gate_halves(_.product(w.ffn_up, _.norm(x, w.ffn_norm)))));
}

}  // namespace

ModelConfig read_phi3_config(const ConfigReader& reader) {
  ModelConfig config = reader.shared({.rotates_whole_heads = false, .has_long_rope = true});
  // Long and short factors turn keys differently, and a stream cannot turn what it has encoded: rows stay
  // where the short ones hold.
  const bool has_factors = reader.file().find_tensor(kShortFactors) != nullptr;
  if (!has_factors && reader.file().find_text(reader.key("rope.scaling.type")) == "longrope")
    reader.refuse("rope.scaling.type", fmt::format("tensor '{}' beside 'longrope'", kShortFactors), "none");
  constexpr int kMost = 1 << 28;
  const int n_original = reader.count_or("rope.scaling.original_context_length", kMost, config.n_context);
  if (has_factors) config.n_positions = n_original;
  return config;
}

std::unique_ptr<const Family> make_phi3(const ModelConfig& config, WeightLoader& loader) {
  return std::make_unique<Phi3>(config, loader);
}

}  // namespace tandem
