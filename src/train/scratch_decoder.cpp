#include "train/scratch_decoder.h"

#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <cmath>

#include "tandem/error.h"
#include "train/dropout.h"
#include "train/gguf_export.h"
#include "train/operations.h"
#include "train/rotations.h"

namespace tandem {
namespace {

at::Tensor copy_of(const std::vector<std::int32_t>& values) {
  return torch::tensor(at::ArrayRef<std::int32_t>(values), at::kInt);
}

}  // namespace

struct ScratchDecoder::Places {
  AttentionPlaces attention;
  at::Tensor mask;        // [sequences, n_places, n_places]
  at::Tensor label_rows;  // [labels] int32
};

ScratchDecoder::ScratchDecoder(const DecoderShape& shape, MatmulType matmul, double dropout,
                               std::uint64_t seed)
    : shape_(shape), type_(matmul == MatmulType::kBfloat16 ? at::kBFloat16 : at::kFloat), dropout_(dropout) {
  TANDEM_CHECK(shape.width % shape.n_heads == 0 && shape.n_heads % shape.n_kv_heads == 0);
  TANDEM_CHECK(shape.head_dim() % 2 == 0);
  lay_out_parameters();
  initialise(seed);
}

void ScratchDecoder::lay_out_parameters() {
  const std::int64_t d = shape_.width, f = shape_.ff_width,
                     qkv = d + 2 * shape_.n_kv_heads * shape_.head_dim();
  n_matrix_parameters_ = shape_.n_layers * (qkv * d + d * d + 2 * f * d + d * f);
  const std::int64_t n = n_matrix_parameters_ + shape_.vocabulary_size * d + (2 * shape_.n_layers + 1) * d;
  flat_ = at::zeros({n}, at::kFloat);
  gradients_ = at::zeros({n}, at::kFloat);

  std::int64_t offset = 0;
  const auto take = [&](at::IntArrayRef sizes) {
    at::Tensor parameter = make_leaf(offset, sizes);
    offset += c10::multiply_integers(sizes);
    return parameter;
  };
  layers_.resize(static_cast<std::size_t>(shape_.n_layers));
  for (Layer& layer : layers_) {
    layer.qkv = take({qkv, d});
    layer.attention_out = take({d, d});
    layer.gate_up = take({2 * f, d});
    layer.down = take({d, f});
  }
  TANDEM_CHECK(offset == n_matrix_parameters_);
  embedding_ = take({shape_.vocabulary_size, d});
  for (Layer& layer : layers_) {
    layer.attention_norm = take({d});
    layer.ffn_norm = take({d});
  }
  output_norm_ = take({d});
  TANDEM_CHECK(offset == n);
}

void ScratchDecoder::initialise(std::uint64_t seed) {
  torch::NoGradGuard no_grad;
  torch::manual_seed(seed);
  const auto fan_in = [](const at::Tensor& weight) {
    return 1.0 / std::sqrt(static_cast<double>(weight.size(1)));
  };
  // What is added to the residual stream starts small: 2 * n_layers such terms add up in it.
  const double residual = 1.0 / std::sqrt(2.0 * static_cast<double>(shape_.n_layers));
  for (Layer& layer : layers_) {
    layer.qkv.normal_(0.0, fan_in(layer.qkv));
    layer.attention_out.normal_(0.0, residual * fan_in(layer.attention_out));
    layer.gate_up.normal_(0.0, fan_in(layer.gate_up));
    layer.down.normal_(0.0, residual * fan_in(layer.down));
    layer.attention_norm.fill_(1.0);
    layer.ffn_norm.fill_(1.0);
  }
  embedding_.normal_(0.0, 0.04);
  output_norm_.fill_(1.0);
}

std::vector<Parameter> ScratchDecoder::parameters(const at::Tensor& flat) const {
  const auto view = [&](const at::Tensor& parameter) {
    return flat.narrow(0, parameter.storage_offset(), parameter.numel()).view(parameter.sizes()).detach();
  };
  std::vector<Parameter> out;
  out.push_back({"token_embd.weight", ParameterKind::kEmbedding, view(embedding_)});
  const std::int64_t d = shape_.width, kv = shape_.n_kv_heads * shape_.head_dim(), f = shape_.ff_width;
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const Layer& layer = layers_[i];
    const std::string block = "blk." + std::to_string(i) + ".";
    const at::Tensor qkv = view(layer.qkv), gate_up = view(layer.gate_up);
    out.push_back({block + "attn_norm.weight", ParameterKind::kNorm, view(layer.attention_norm)});
    out.push_back({block + "attn_q.weight", ParameterKind::kMatrix, qkv.narrow(0, 0, d)});
    out.push_back({block + "attn_k.weight", ParameterKind::kMatrix, qkv.narrow(0, d, kv)});
    out.push_back({block + "attn_v.weight", ParameterKind::kMatrix, qkv.narrow(0, d + kv, kv)});
    out.push_back({block + "attn_output.weight", ParameterKind::kMatrix, view(layer.attention_out)});
    out.push_back({block + "ffn_norm.weight", ParameterKind::kNorm, view(layer.ffn_norm)});
    out.push_back({block + "ffn_gate.weight", ParameterKind::kMatrix, gate_up.narrow(0, 0, f)});
    out.push_back({block + "ffn_up.weight", ParameterKind::kMatrix, gate_up.narrow(0, f, f)});
    out.push_back({block + "ffn_down.weight", ParameterKind::kMatrix, view(layer.down)});
  }
  out.push_back({"output_norm.weight", ParameterKind::kNorm, view(output_norm_)});
  return out;
}

std::string ScratchDecoder::fingerprint() const {
  return fmt::format("layers {} width {} heads {}/{} ff {} pieces {}", shape_.n_layers, shape_.width,
                     shape_.n_heads, shape_.n_kv_heads, shape_.ff_width, shape_.vocabulary_size);
}

ScratchDecoder::Places ScratchDecoder::places_of(const Batch& batch) const {
  Places places;
  places.attention.n_sequences = batch.n_sequences;
  places.attention.n_places = batch.n_places;
  places.attention.place = copy_of(batch.place);
  const Rotations rotations =
      rotations_of(batch.doubled_position, rope_frequencies(shape_.head_dim(), shape_.rope_base));
  places.attention.cosine = rotations.cosine;
  places.attention.sine = rotations.sine;
  places.mask = torch::from_blob(const_cast<float*>(batch.mask.data()),
                                 {batch.n_sequences, batch.n_places, batch.n_places}, at::kFloat);
  places.label_rows = copy_of(batch.label_rows);
  return places;
}

at::Tensor ScratchDecoder::project(const at::Tensor& h, const at::Tensor& weight) const {
  return at::linear(h, weight.to(type_));
}

at::Tensor ScratchDecoder::drop(const at::Tensor& x) const {
  return training_ && dropout_ > 0.0 ? dropout(x, dropout_) : x;
}

/// softmax(q k^T / sqrt(head_dim) + mask) v, all heads; those that share a k and v head are rows of one
/// product.
at::Tensor ScratchDecoder::attend(const Layer& layer, const at::Tensor& h, const Places& places) const {
  const Heads heads = split_heads(project(h, layer.qkv), places.attention, shape_.n_heads, shape_.n_kv_heads);
  const std::int64_t b = heads.k.size(0) * shape_.n_kv_heads, l = heads.k.size(2), hd = shape_.head_dim();
  const std::int64_t group_rows = shape_.n_heads / shape_.n_kv_heads * l;
  const at::Tensor k = heads.k.view({b, l, hd}), v = heads.v.view({b, l, hd});
  const at::Tensor scores = at::bmm(heads.q.view({b, group_rows, hd}), k.transpose(1, 2));
  const at::Tensor p = masked_softmax(scores.view({-1, shape_.n_heads, l, l}), places.mask,
                                      static_cast<float>(1.0 / std::sqrt(static_cast<double>(hd))));
  const at::Tensor mixed = at::bmm(p.view({b, group_rows, l}), v);
  return merge_heads(mixed.view({-1, shape_.n_heads, l, hd}), places.attention);
}

/// Normalised output of the rows that have a label: [labels, width].
at::Tensor ScratchDecoder::hidden(const Batch& batch) {
  const Places places = places_of(batch);
  at::Tensor x = drop(at::embedding(embedding_, copy_of(batch.tokens)));
  at::Tensor delta;  // what the last part adds to x; the next norm adds it
  for (const Layer& layer : layers_) {
    const NormOutput before_attention = add_rms_norm(x, delta, layer.attention_norm, kRmsNormEpsilon, type_);
    x = before_attention.sum;
    at::Tensor attended = attend(layer, before_attention.out, places);
    if (&layer == &layers_.back()) {  // beyond the last keys and values only labelled rows matter
      x = x.index_select(0, places.label_rows);
      attended = attended.index_select(0, places.label_rows);
    }
    delta = drop(project(attended, layer.attention_out));
    const NormOutput before_ffn = add_rms_norm(x, delta, layer.ffn_norm, kRmsNormEpsilon, type_);
    x = before_ffn.sum;
    delta =
        drop(project(gate_halves(project(before_ffn.out, layer.gate_up), GateActivation::kSilu), layer.down));
  }
  return add_rms_norm(x, delta, output_norm_, kRmsNormEpsilon, type_).out;
}

at::Tensor ScratchDecoder::logits(const Batch& batch) {
  return project(hidden(batch), embedding_);
}

Loss ScratchDecoder::loss(const Batch& batch, double label_smoothing, double divisor) {
  const CrossEntropyOutput out = smoothed_cross_entropy(logits(batch), copy_of(batch.labels),
                                                        static_cast<float>(label_smoothing), divisor);
  return {out.loss, out.plain};
}

}  // namespace tandem
