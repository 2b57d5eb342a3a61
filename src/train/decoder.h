// The network that is trained: a LLaMA-type decoder (RMS norm, rotation by position, grouped-query attention,
// SwiGLU, tied embeddings) with explicit positions and an explicit mask, as the engine evaluates it.
//
// All parameters are views of one flat float32 buffer, and so are their gradients: an optimiser step, a clip,
// an average or a checkpoint is then one pass over memory. Matrices come first, what is not decayed after
// them.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "train/collate.h"
#include "train/train_config.h"

namespace tandem {

enum class ParameterKind { kMatrix, kEmbedding, kNorm };

/// A parameter as the model file knows it. Fused matrices appear as their parts.
struct Parameter {
  std::string name;  // e.g. "blk.0.attn_q.weight"
  ParameterKind kind;
  at::Tensor value;  // [n_out, n_in] or [n]; a view of Decoder::flat
};

struct DecoderShape {
  std::int64_t n_layers = 6, width = 256, n_heads = 4, n_kv_heads = 4, ff_width = 768, vocabulary_size = 8000;
  double rope_base = 10000.0;

  std::int64_t head_dim() const { return width / n_heads; }
};

struct Loss {
  at::Tensor mean;   // scalar, with label smoothing; backward() starts here
  at::Tensor plain;  // [labels] nats per token
};

class Decoder {
 public:
  Decoder(const DecoderShape& shape, MatmulType matmul, double dropout, std::uint64_t seed);

  /// [labels, vocabulary]: only rows that have a label get logits.
  at::Tensor logits(const Batch& batch);
  /// Sum over the batch's labels, divided by `divisor` (the labels of all batches of a step).
  Loss loss(const Batch& batch, double label_smoothing, double divisor);

  void set_training(bool training) { training_ = training; }

  const DecoderShape& shape() const { return shape_; }
  at::Tensor& flat() { return flat_; }            // [n_parameters] f32
  at::Tensor& gradients() { return gradients_; }  // [n_parameters] f32
  std::int64_t n_parameters() const { return flat_.numel(); }
  /// Parameters before this offset are matrices (decayed); after it embeddings and norms.
  std::int64_t n_matrix_parameters() const { return n_matrix_parameters_; }
  /// Views of `flat` (this decoder's own, or a buffer of the same layout such as an average), by file names.
  std::vector<Parameter> parameters(const at::Tensor& flat) const;

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
  bool training_ = true;
  at::Tensor flat_, gradients_;
  std::int64_t n_matrix_parameters_ = 0;
  std::vector<Layer> layers_;
  at::Tensor embedding_;    // [vocabulary, width]; also the head
  at::Tensor output_norm_;  // [width]
};

}  // namespace tandem
