// What all decoder-only families share: rows of the embeddings enter, layer after layer adds to them, a last
// norm and the head make logits of them. A family is its layers.
//
//   x = embedding_scale * token_embd[tokens]
//   x = layer_i(x)                                   i = 0 .. n_layers - 1
//   logits = soft_cap(head * norm(x))
#pragma once

#include "model/blocks.h"
#include "model/family.h"

namespace tandem {

class Decoder : public Family {
 public:
  const ModelConfig& config() const final { return config_; }
  const RowTable& token_embeddings() const final { return token_embd_; }
  const std::string& head_name() const final { return head_name_; }
  void build(PassGraph& pass) const final;

 protected:
  /// Asks the loader for `token_embd`, `output_norm` and `output`; without the last, the embeddings are the
  /// head.
  Decoder(const ModelConfig& config, WeightLoader& loader);

  /// One layer. x ne = [n_embd, n_rows]; the last one returns the rows that Blocks::keep_wanted keeps.
  virtual ggml_tensor* layer(const Blocks& _, int index, ggml_tensor* x) const = 0;

 private:
  ModelConfig config_;
  RowTable token_embd_;                 // ne = [n_embd, n_vocab]
  ggml_tensor* output_norm_ = nullptr;  // ne = [n_embd]
  std::string head_name_;               // which rows of it make logits, the pass says
};

}  // namespace tandem
