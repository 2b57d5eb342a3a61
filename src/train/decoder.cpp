#include "train/decoder.h"

#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <cmath>

#include "tandem/error.h"
#include "train/gguf_export.h"
#include "train/operations.h"

namespace tandem {
namespace {

at::Tensor copy_of(const std::vector<std::int32_t>& values) {
  return torch::tensor(at::ArrayRef<std::int32_t>(values), at::kInt);
}

/// cos and sin of position * base^(-2i / head_dim): [rows, head_dim / 2] each.
void fill_rotations(std::span<const std::int32_t> doubled_positions, std::int64_t head_dim, double base,
                    at::Tensor& cosine, at::Tensor& sine) {
  const std::int64_t half = head_dim / 2, n_rows = static_cast<std::int64_t>(doubled_positions.size());
  std::int32_t highest = 0;
  for (const std::int32_t position : doubled_positions) highest = std::max(highest, position);
  // Few positions serve many rows: one table, then copies.
  std::vector<float> table(static_cast<std::size_t>((highest + 1) * half * 2));
  std::vector<bool> known(static_cast<std::size_t>(highest + 1), false);
  cosine = at::empty({n_rows, half}, at::kFloat);
  sine = at::empty({n_rows, half}, at::kFloat);
  for (std::int64_t row = 0; row < n_rows; ++row) {
    const std::int32_t position = doubled_positions[static_cast<std::size_t>(row)];
    float* entry = &table[static_cast<std::size_t>(position * half * 2)];
    if (!known[static_cast<std::size_t>(position)]) {
      for (std::int64_t i = 0; i < half; ++i) {
        const double frequency =
            std::pow(base, -2.0 * static_cast<double>(i) / static_cast<double>(head_dim));
        const double angle = Position::from_doubled(position).value() * frequency;
        entry[i] = static_cast<float>(std::cos(angle));
        entry[half + i] = static_cast<float>(std::sin(angle));
      }
      known[static_cast<std::size_t>(position)] = true;
    }
    std::copy_n(entry, half, cosine.data_ptr<float>() + row * half);
    std::copy_n(entry + half, half, sine.data_ptr<float>() + row * half);
  }
}

}  // namespace

struct Decoder::Places {
  AttentionPlaces attention;
  at::Tensor mask;        // [sequences, n_places, n_places]
  at::Tensor label_rows;  // [labels] int32
};

Decoder::Decoder(const DecoderShape& shape, MatmulType matmul, double dropout, std::uint64_t seed)
    : shape_(shape), type_(matmul == MatmulType::kBfloat16 ? at::kBFloat16 : at::kFloat), dropout_(dropout) {
  TANDEM_CHECK(shape.width % shape.n_heads == 0 && shape.n_heads % shape.n_kv_heads == 0);
  TANDEM_CHECK(shape.head_dim() % 2 == 0);
  lay_out_parameters();
  initialise(seed);
}

void Decoder::lay_out_parameters() {
  const std::int64_t d = shape_.width, f = shape_.ff_width,
                     qkv = d + 2 * shape_.n_kv_heads * shape_.head_dim();
  n_matrix_parameters_ = shape_.n_layers * (qkv * d + d * d + 2 * f * d + d * f);
  const std::int64_t n = n_matrix_parameters_ + shape_.vocabulary_size * d + (2 * shape_.n_layers + 1) * d;
  flat_ = at::zeros({n}, at::kFloat);
  gradients_ = at::zeros({n}, at::kFloat);

  std::int64_t offset = 0;
  const auto take = [&](at::IntArrayRef sizes) {
    const std::int64_t length = c10::multiply_integers(sizes);
    at::Tensor parameter = flat_.narrow(0, offset, length).view(sizes).detach();
    parameter.set_requires_grad(true);
    parameter.mutable_grad() = gradients_.narrow(0, offset, length).view(sizes);
    offset += length;
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

void Decoder::initialise(std::uint64_t seed) {
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

std::vector<Parameter> Decoder::parameters(const at::Tensor& flat) const {
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

Decoder::Places Decoder::places_of(const Batch& batch) const {
  Places places;
  places.attention.n_sequences = batch.n_sequences;
  places.attention.n_places = batch.n_places;
  places.attention.place = copy_of(batch.place);
  fill_rotations(batch.doubled_position, shape_.head_dim(), shape_.rope_base, places.attention.cosine,
                 places.attention.sine);
  places.mask = torch::from_blob(const_cast<float*>(batch.mask.data()),
                                 {batch.n_sequences, batch.n_places, batch.n_places}, at::kFloat);
  places.label_rows = copy_of(batch.label_rows);
  return places;
}

at::Tensor Decoder::project(const at::Tensor& h, const at::Tensor& weight) const {
  return at::linear(h, weight.to(type_));
}

at::Tensor Decoder::drop(const at::Tensor& x) const {
  return training_ && dropout_ > 0.0 ? at::dropout(x, dropout_, true) : x;
}

/// softmax(q k^T / sqrt(head_dim) + mask) v, all heads; those that share a k and v head are rows of one
/// product.
at::Tensor Decoder::attend(const Layer& layer, const at::Tensor& h, const Places& places) const {
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
at::Tensor Decoder::hidden(const Batch& batch) {
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
    delta = drop(project(swiglu(project(before_ffn.out, layer.gate_up)), layer.down));
  }
  return add_rms_norm(x, delta, output_norm_, kRmsNormEpsilon, type_).out;
}

at::Tensor Decoder::logits(const Batch& batch) {
  return project(hidden(batch), embedding_);
}

Loss Decoder::loss(const Batch& batch, double label_smoothing, double divisor) {
  const CrossEntropyOutput out = smoothed_cross_entropy(logits(batch), copy_of(batch.labels),
                                                        static_cast<float>(label_smoothing), divisor);
  return {out.loss, out.plain};
}

}  // namespace tandem
