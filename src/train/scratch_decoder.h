// The network that is trained from scratch: a LLaMA-type decoder (RMS norm, rotation by position,
// grouped-query attention, SwiGLU, tied embeddings) with explicit positions and an explicit mask, as the
// engine evaluates it.
//
// Small models live from fused weights and kernels; families and adapters are stock_decoder.h's.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "train/train_config.h"
#include "train/trainable_decoder.h"

namespace tandem {

struct DecoderShape {
  std::int64_t n_layers = 6, width = 256, n_heads = 4, n_kv_heads = 4, ff_width = 768, vocabulary_size = 8000;
  double rope_base = 10000.0;

  std::int64_t head_dim() const { return width / n_heads; }
};

class ScratchDecoder final : public TrainableDecoder {
 public:
  ScratchDecoder(const DecoderShape& shape, MatmulType matmul, double dropout, std::uint64_t seed);

  at::Tensor logits(const Batch& batch) override;
  Loss loss(const Batch& batch, double label_smoothing, double divisor) override;
  std::vector<Parameter> parameters(const at::Tensor& flat) const override;
  std::string fingerprint() const override;

  const DecoderShape& shape() const { return shape_; }

 private:
  struct Layer {
    at::Tensor attention_norm;  // [width]
    at::Tensor qkv;             // [(n_heads + 2 n_kv_heads) * head_dim, width]
    at::Tensor attention_out;   // [width, n_heads * head_dim]
    at::Tensor ffn_norm;        // [width]
    at::Tensor gate_up;         // [2 * ff_width, width]
    at::Tensor down;            // [width, ff_width]
  };
  struct Places;

  at::Tensor hidden(const Batch& batch);
  at::Tensor attend(const Layer& layer, const at::Tensor& h, const Places& places) const;
  at::Tensor project(const at::Tensor& h, const at::Tensor& weight) const;
  at::Tensor drop(const at::Tensor& x) const;
  Places places_of(const Batch& batch) const;
  void lay_out_parameters();
  void initialise(std::uint64_t seed);

  DecoderShape shape_;
  at::ScalarType type_;  // of matrix products
  double dropout_;
  std::vector<Layer> layers_;
  at::Tensor embedding_;    // [vocabulary, width]; also the head
  at::Tensor output_norm_;  // [width]
};

}  // namespace tandem
