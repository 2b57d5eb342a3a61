// The network that is fine-tuned: any family's GGUF (docs/families.md), with explicit positions and an
// explicit mask: all of its weights, the matrices of its layers, or low-rank adapters beside these (LoRA,
// arXiv 2106.09685).
//
//   y = W x + (alpha / rank) B A x        A [rank, n_in], B [n_out, rank]; W stays as it is, in the type of
//   the products
//
// Which steps a layer has is read off the configuration and off the tensors that the file has, so one
// function serves the families; the tests hold each of them against the engine.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "train/base_model.h"
#include "train/operations.h"
#include "train/train_config.h"
#include "train/trainable_decoder.h"

namespace tandem {

struct StockDecoderOptions {
  MatmulType matmul = fastest_matmul_type();
  std::optional<AdapterShape> adapter;           // nothing: the base's own weights are trained
  TrainedWeights trains = TrainedWeights::kAll;  // of these
  std::vector<TokenId> kept_ids;                 // ascending; only these have logits; empty: all
  bool recompute_activations = false;  // a layer's activations are calculated again for its gradients
  double dropout = 0.0;
  std::uint64_t seed = 1;
};

class StockDecoder final : public TrainableDecoder {
 public:
  /// `base` must outlive the decoder. Throws Error{kInvalidArgument} for a target that the base does not
  /// have.
  StockDecoder(const BaseModel& base, const StockDecoderOptions& options);

  at::Tensor logits(const Batch& batch) override;
  Loss loss(const Batch& batch, double label_smoothing, double divisor) override;
  std::vector<Parameter> parameters(const at::Tensor& flat) const override;
  std::string fingerprint() const override;

 private:
  struct Linear {
    at::Tensor weight, bias;  // [n_out, n_in], [n_out] or undefined
    at::Tensor a, b;          // [rank, n_in], [n_out, rank]; undefined: no adapter here
  };
  struct Layer {
    at::Tensor attn_norm, q_norm, k_norm, attn_post_norm;  // undefined where the family has none
    Linear q, k, v, qkv, attn_output;                      // either q, k, v or qkv
    at::Tensor ffn_norm, ffn_post_norm;
    Linear gate, up, gate_up, down;  // either gate, up or gate_up
  };
  struct Places;
  struct Residual {
    at::Tensor x;      // [rows, n_embd] f32
    at::Tensor delta;  // what the last part adds to it; the next norm does
  };
  /// A parameter that will be trained, until the flat buffer is laid out.
  struct Planned {
    std::string name;
    ParameterKind kind;
    at::Tensor initial;
    at::Tensor* where;
  };
  struct Entry {
    std::string name;
    ParameterKind kind;
    std::vector<std::int64_t> sizes;
    std::int64_t offset;
  };

  void load_layer(int index, Layer& layer);
  void take_vector(const std::string& name, at::Tensor& where);
  void take_linear(const std::string& prefix, const char* part, Linear& linear);
  void take_head();
  void add_adapter(const std::string& name, Linear& linear);
  void lay_out();

  bool is_adapted() const { return options_.adapter.has_value(); }
  bool trains_matrices_alone() const { return is_adapted() || options_.trains == TrainedWeights::kMatrices; }
  at::Tensor embed(const Batch& batch) const;
  at::Tensor head() const;
  at::Tensor project(const at::Tensor& h, const Linear& linear) const;
  at::Tensor norm(const at::Tensor& x, const at::Tensor& gain) const;
  at::Tensor norm_heads(const at::Tensor& packed, const at::Tensor& gain) const;
  at::Tensor attend(int index, const at::Tensor& h, const Places& places) const;
  at::Tensor feed_forward(const Layer& layer, const at::Tensor& h) const;
  Residual layer(int index, const Residual& in, const Places& places) const;
  Residual layer_again(int index, const Residual& in, const Places& places) const;
  at::Tensor hidden(const Batch& batch);
  Places places_of(const Batch& batch) const;
  at::Tensor drop(const at::Tensor& x) const;

  const BaseModel& base_;
  StockDecoderOptions options_;
  ModelConfig config_;
  at::ScalarType type_;  // of matrix products
  GateActivation activation_;
  std::vector<double> frequencies_, window_frequencies_;
  std::vector<Layer> layers_;
  at::Tensor embedding_;  // [n_vocab, n_embd] if it is trained, else undefined: looked up in the file
  at::Tensor output_;     // [classes, n_embd]; undefined where the trained embedding is the head
  at::Tensor output_norm_;
  at::Tensor kept_;                     // [kept] int64, or undefined
  std::vector<std::int32_t> class_of_;  // by id; empty: the id itself
  std::vector<Planned> planned_;
  std::vector<Entry> entries_;
};

}  // namespace tandem
