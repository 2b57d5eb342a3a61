#include "model/decoder.h"

namespace tandem {

Decoder::Decoder(const ModelConfig& config, WeightLoader& loader) : config_(config) {
  token_embd_ = loader.table("token_embd.weight", config.n_embd, config.n_vocab);
  output_norm_ = loader.vector("output_norm.weight", config.n_embd);
  const char* head = loader.has("output.weight") ? "output.weight" : "token_embd.weight";
  output_ = loader.matrix(head, config.n_embd, config.n_vocab);
}

void Decoder::build(PassGraph& pass) const {
  const Blocks _(pass, config_);
  ggml_tensor* x = _.scale(pass.embeddings(), config_.embedding_scale);
  for (int i = 0; i < config_.n_layers; ++i) x = layer(_, i, x);
  // Without a row to read, the pass ends where the last K and V are written.
  if (pass.shape().n_logits == 0) return;
  pass.set_logits(_.soft_cap(_.product(output_, _.norm(x, output_norm_)), config_.logit_soft_cap));
}

}  // namespace tandem
