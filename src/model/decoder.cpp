#include "model/decoder.h"

namespace tandem {

Decoder::Decoder(const ModelConfig& config, WeightLoader& loader) : config_(config) {
  token_embd_ = loader.table("token_embd.weight", config.n_embd, config.n_vocab);
  output_norm_ = loader.vector("output_norm.weight", config.n_embd);
  head_name_ = loader.has("output.weight") ? "output.weight" : "token_embd.weight";
  loader.table(head_name_, config.n_embd, config.n_vocab);  // checked here, loaded as heads (head.h)
}

void Decoder::build(PassGraph& pass) const {
  const Blocks _(pass, config_);
  ggml_tensor* x = _.scale(pass.embeddings(), config_.embedding_scale);
  for (int i = 0; i < config_.n_layers; ++i) x = layer(_, i, x);
  // Without a row to read, the pass ends where the last K and V are written.
  if (pass.shape().n_logits == 0) return;
  x = _.norm(x, output_norm_);
  for (const HeadPart& part : pass.shape().heads)
    pass.add_logits(_.soft_cap(_.head_product(part, x), config_.logit_soft_cap));
}

}  // namespace tandem
