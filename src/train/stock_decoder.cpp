#include "train/stock_decoder.h"

#include <ATen/Functions.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <cmath>

#include "tandem/error.h"
#include "train/dropout.h"
#include "train/recompute.h"
#include "train/rotations.h"

namespace tandem {
namespace {

at::Tensor ids_tensor(const std::vector<std::int32_t>& values) {
  return torch::tensor(at::ArrayRef<std::int32_t>(values), at::kInt);
}

at::Tensor mask_tensor(const Batch& batch, const std::vector<float>& mask) {
  return torch::from_blob(const_cast<float*>(mask.data()),
                          {batch.n_sequences, batch.n_places, batch.n_places}, at::kFloat);
}

/// Frequencies of a kind of layers, each divided by the file's factor if it has any (Llama 3, Phi 3).
std::vector<double> frequencies_of(const BaseModel& base, const RopeSpeed& speed) {
  std::vector<double> frequencies = rope_frequencies(base.config().n_rope_dims, speed.base, speed.scale);
  for (const char* name : {"rope_freqs.weight", "rope_factors_short.weight"}) {
    const at::Tensor factors = base.find(name);
    if (!factors.defined()) continue;
    for (std::size_t i = 0; i < frequencies.size(); ++i) {
      frequencies[i] /= factors[static_cast<std::int64_t>(i)].item<double>();
    }
  }
  return frequencies;
}

}  // namespace

struct StockDecoder::Places {
  AttentionPlaces everywhere, windowed, unrotated;
  at::Tensor mask, window_mask;  // [sequences, n_places, n_places]
  at::Tensor label_rows;         // [labels] int32
};

StockDecoder::StockDecoder(const BaseModel& base, const StockDecoderOptions& options)
    : base_(base),
      options_(options),
      config_(base.config()),
      type_(options.matmul == MatmulType::kBfloat16 ? at::kBFloat16 : at::kFloat),
      activation_(config_.architecture.starts_with("gemma") ? GateActivation::kGelu : GateActivation::kSilu),
      frequencies_(frequencies_of(base, config_.rope)) {
  torch::NoGradGuard no_grad;
  torch::manual_seed(options.seed);
  if (config_.window > 0) window_frequencies_ = frequencies_of(base, config_.window_rope);
  layers_.resize(static_cast<std::size_t>(config_.n_layers));
  for (int i = 0; i < config_.n_layers; ++i) load_layer(i, layers_[static_cast<std::size_t>(i)]);
  take_vector("output_norm.weight", output_norm_);
  take_head();
  lay_out();
}

void StockDecoder::load_layer(int index, Layer& layer) {
  const std::string prefix = fmt::format("blk.{}.", index);
  take_vector(prefix + "attn_norm.weight", layer.attn_norm);
  take_vector(prefix + "attn_q_norm.weight", layer.q_norm);
  take_vector(prefix + "attn_k_norm.weight", layer.k_norm);
  take_linear(prefix, "attn_q", layer.q);
  take_linear(prefix, "attn_k", layer.k);
  take_linear(prefix, "attn_v", layer.v);
  take_linear(prefix, "attn_qkv", layer.qkv);
  take_linear(prefix, "attn_output", layer.attn_output);
  take_vector(prefix + "post_attention_norm.weight", layer.attn_post_norm);
  take_vector(prefix + "ffn_norm.weight", layer.ffn_norm);
  take_linear(prefix, "ffn_gate", layer.gate);
  take_linear(prefix, "ffn_up", layer.gate.weight.defined() ? layer.up : layer.gate_up);
  take_linear(prefix, "ffn_down", layer.down);
  take_vector(prefix + "post_ffw_norm.weight", layer.ffn_post_norm);
}

void StockDecoder::take_vector(const std::string& name, at::Tensor& where) {
  where = base_.find(name);
  if (where.defined() && !trains_matrices_alone())
    planned_.push_back({name, ParameterKind::kNorm, where, &where});
}

void StockDecoder::take_linear(const std::string& prefix, const char* part, Linear& linear) {
  const std::string name = prefix + part + ".weight";
  const at::Tensor weight = base_.find(name);
  if (!weight.defined()) return;
  linear.weight = weight;
  take_vector(prefix + part + ".bias", linear.bias);
  if (!is_adapted()) {
    planned_.push_back({name, ParameterKind::kMatrix, weight, &linear.weight});
    return;
  }
  linear.weight = weight.to(type_);
  const auto& targets = options_.adapter->targets;
  if (targets.empty() || std::find(targets.begin(), targets.end(), part) != targets.end()) {
    add_adapter(name, linear);
  }
}

/// B starts at zero, so that training starts at the base.
void StockDecoder::add_adapter(const std::string& name, Linear& linear) {
  const std::int64_t rank = options_.adapter->rank, n_in = linear.weight.size(1),
                     n_out = linear.weight.size(0);
  const double bound = 1.0 / std::sqrt(static_cast<double>(n_in));
  planned_.push_back({name + ".lora_a", ParameterKind::kMatrix,
                      at::empty({rank, n_in}, at::kFloat).uniform_(-bound, bound), &linear.a});
  planned_.push_back(
      {name + ".lora_b", ParameterKind::kMatrix, at::zeros({n_out, rank}, at::kFloat), &linear.b});
}

void StockDecoder::take_head() {
  if (!options_.kept_ids.empty()) {
    class_of_.assign(static_cast<std::size_t>(config_.n_vocab), -1);
    kept_ = at::empty({static_cast<std::int64_t>(options_.kept_ids.size())}, at::kLong);
    for (std::size_t i = 0; i < options_.kept_ids.size(); ++i) {
      const int id = to_int(options_.kept_ids[i]);
      class_of_[static_cast<std::size_t>(id)] = static_cast<std::int32_t>(i);
      kept_[static_cast<std::int64_t>(i)] = id;
    }
  }
  if (trains_matrices_alone()) {
    std::vector<std::int32_t> ids;
    for (const TokenId id : options_.kept_ids) ids.push_back(to_int(id));
    output_ = (ids.empty() ? base_.find(base_.head()) : base_.rows(base_.head(), ids)).to(type_);
    return;
  }
  planned_.push_back(
      {"token_embd.weight", ParameterKind::kEmbedding, base_.find("token_embd.weight"), &embedding_});
  if (base_.has("output.weight")) {
    planned_.push_back({"output.weight", ParameterKind::kEmbedding, base_.find("output.weight"), &output_});
  }
}

void StockDecoder::lay_out() {
  if (planned_.empty()) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("{}: [lora] targets: expected parts that its layers have, got {}",
                            base_.file().path(), fmt::join(options_.adapter->targets, ", ")));
  }
  std::stable_sort(planned_.begin(), planned_.end(),
                   [](const Planned& a, const Planned& b) { return a.kind < b.kind; });
  std::int64_t n = 0;
  for (const Planned& planned : planned_) {
    entries_.push_back({planned.name, planned.kind, planned.initial.sizes().vec(), n});
    n += planned.initial.numel();
    if (planned.kind == ParameterKind::kMatrix) n_matrix_parameters_ = n;
  }
  flat_ = at::empty({n}, at::kFloat);
  gradients_ = at::zeros({n}, at::kFloat);
  for (std::size_t i = 0; i < planned_.size(); ++i) {
    flat_.narrow(0, entries_[i].offset, planned_[i].initial.numel()).copy_(planned_[i].initial.reshape({-1}));
    *planned_[i].where = make_leaf(entries_[i].offset, entries_[i].sizes);
  }
  planned_.clear();
}

std::vector<Parameter> StockDecoder::parameters(const at::Tensor& flat) const {
  std::vector<Parameter> out;
  for (const Entry& entry : entries_) {
    const std::int64_t length = c10::multiply_integers(entry.sizes);
    out.push_back({entry.name, entry.kind, flat.narrow(0, entry.offset, length).view(entry.sizes).detach()});
  }
  return out;
}

std::string StockDecoder::fingerprint() const {
  const std::string what = is_adapted() ? fmt::format("adapter of rank {} on [{}]", options_.adapter->rank,
                                                      fmt::join(options_.adapter->targets, " "))
                           : trains_matrices_alone() ? "the layers' matrices"
                                                     : "all weights";
  return fmt::format("{} of {} layers, width {}, {} pieces: {}", config_.architecture, config_.n_layers,
                     config_.n_embd, config_.n_vocab, what);
}

StockDecoder::Places StockDecoder::places_of(const Batch& batch) const {
  Places places;
  AttentionPlaces& bare = places.unrotated;
  bare.n_sequences = batch.n_sequences;
  bare.n_places = batch.n_places;
  bare.place = ids_tensor(batch.place);
  bare.pairs = config_.rope_pairs == RopePairs::kHalves ? RotatedPairs::kHalves : RotatedPairs::kNeighbours;
  const auto rotated = [&](const std::vector<double>& frequencies) {
    AttentionPlaces out = bare;
    const Rotations rotations = rotations_of(batch.doubled_position, frequencies, config_.rope_magnitude);
    out.cosine = rotations.cosine;
    out.sine = rotations.sine;
    return out;
  };
  places.everywhere = rotated(frequencies_);
  if (config_.window > 0) places.windowed = rotated(window_frequencies_);
  places.mask = mask_tensor(batch, batch.mask);
  places.window_mask = batch.window_mask.empty() ? places.mask : mask_tensor(batch, batch.window_mask);
  places.label_rows = ids_tensor(batch.label_rows);
  return places;
}

at::Tensor StockDecoder::drop(const at::Tensor& x) const {
  return training_ && options_.dropout > 0.0 ? dropout(x, options_.dropout) : x;
}

at::Tensor StockDecoder::project(const at::Tensor& h, const Linear& linear) const {
  const at::Tensor y =
      at::linear(h, linear.weight.to(type_), linear.bias.defined() ? linear.bias.to(type_) : at::Tensor());
  if (!linear.a.defined()) return y;
  const AdapterShape& adapter = *options_.adapter;
  const bool drops = training_ && adapter.dropout > 0.0;
  const at::Tensor low = at::linear(drops ? dropout(h, adapter.dropout) : h, linear.a.to(type_));
  return at::addmm(y, low, linear.b.mul(adapter.alpha / adapter.rank).to(type_).t());
}

/// Of a branch by itself, before it joins the residual stream.
at::Tensor StockDecoder::norm(const at::Tensor& x, const at::Tensor& gain) const {
  if (!gain.defined()) return x;
  return add_rms_norm(x.to(at::kFloat), {}, gain, config_.norm_epsilon, type_).out;
}

/// packed [rows, heads * head_dim], each head by itself.
at::Tensor StockDecoder::norm_heads(const at::Tensor& packed, const at::Tensor& gain) const {
  if (!gain.defined()) return packed;
  return norm(packed.reshape({-1, config_.head_dim}), gain).view(packed.sizes());
}

/// softmax(cap(q k^T * scale) + mask) v, all heads; those that share a k and v head are rows of one product.
at::Tensor StockDecoder::attend(int index, const at::Tensor& h, const Places& places) const {
  const Layer& w = layers_[static_cast<std::size_t>(index)];
  const std::int64_t n_q = config_.n_embd_q(), n_kv = config_.n_embd_kv(), hd = config_.head_dim;
  const bool is_fused = w.qkv.weight.defined();
  const at::Tensor qkv = is_fused ? project(h, w.qkv) : at::Tensor();
  const at::Tensor q = is_fused ? qkv.narrow(1, 0, n_q) : project(h, w.q);
  const at::Tensor k = is_fused ? qkv.narrow(1, n_q, n_kv) : project(h, w.k);
  const at::Tensor v = is_fused ? qkv.narrow(1, n_q + n_kv, n_kv) : project(h, w.v);

  const bool has_window = config_.has_window(index);
  const AttentionPlaces& turned = has_window ? places.windowed : places.everywhere;
  const at::Tensor query = place_heads(norm_heads(q, w.q_norm), turned, config_.n_heads);
  const at::Tensor key = place_heads(norm_heads(k, w.k_norm), turned, config_.n_kv_heads);
  const at::Tensor value = place_heads(v, places.unrotated, config_.n_kv_heads);

  const std::int64_t b = key.size(0) * config_.n_kv_heads, l = key.size(2);
  const std::int64_t group_rows = config_.n_heads / config_.n_kv_heads * l;
  at::Tensor scores = at::bmm(query.view({b, group_rows, hd}), key.view({b, l, hd}).transpose(1, 2));
  float scale = config_.query_scale * config_.attention_scale;
  if (config_.attention_soft_cap > 0.0F) {
    scores = at::tanh(scores.mul(scale / config_.attention_soft_cap)).mul(config_.attention_soft_cap);
    scale = 1.0F;
  }
  const at::Tensor p = masked_softmax(scores.view({-1, config_.n_heads, l, l}),
                                      has_window ? places.window_mask : places.mask, scale);
  const at::Tensor mixed = at::bmm(p.view({b, group_rows, l}), value.view({b, l, hd}));
  return merge_heads(mixed.view({-1, config_.n_heads, l, hd}), turned);
}

at::Tensor StockDecoder::feed_forward(const Layer& w, const at::Tensor& h) const {
  const at::Tensor inner = w.gate_up.weight.defined()
                               ? gate_halves(project(h, w.gate_up), activation_)
                               : gate(project(h, w.gate), project(h, w.up), activation_);
  return project(inner, w.down);
}

StockDecoder::Residual StockDecoder::layer(int index, const Residual& in, const Places& places) const {
  const Layer& w = layers_[static_cast<std::size_t>(index)];
  const NormOutput before = add_rms_norm(in.x, in.delta, w.attn_norm, config_.norm_epsilon, type_);
  at::Tensor x = before.sum, attended = attend(index, before.out, places);
  if (index + 1 == config_.n_layers) {  // beyond the last keys and values only labelled rows matter
    x = x.index_select(0, places.label_rows);
    attended = attended.index_select(0, places.label_rows);
  }
  const at::Tensor branch = drop(norm(project(attended, w.attn_output), w.attn_post_norm));
  const NormOutput before_ffn = add_rms_norm(x, branch, w.ffn_norm, config_.norm_epsilon, type_);
  return {before_ffn.sum, drop(norm(feed_forward(w, before_ffn.out), w.ffn_post_norm))};
}

/// The same, its activations not kept.
StockDecoder::Residual StockDecoder::layer_again(int index, const Residual& in, const Places& places) const {
  const auto out = recomputed(
      [this, index, places](const std::vector<at::Tensor>& tensors) {
        const Residual residual = layer(index, {tensors[0], tensors[1]}, places);
        return std::vector<at::Tensor>{residual.x, residual.delta};
      },
      {in.x, in.delta});
  return {out[0], out[1]};
}

at::Tensor StockDecoder::embed(const Batch& batch) const {
  const at::Tensor rows = embedding_.defined() ? at::embedding(embedding_, ids_tensor(batch.tokens))
                                               : base_.rows("token_embd.weight", batch.tokens);
  return drop(rows.mul(config_.embedding_scale));
}

/// Normalised output of the rows that have a label: [labels, n_embd].
at::Tensor StockDecoder::hidden(const Batch& batch) {
  const Places places = places_of(batch);
  Residual residual{embed(batch), {}};
  for (int i = 0; i < config_.n_layers; ++i) {
    // The first layer has no delta yet, and its input may need no gradient: its activations are kept.
    residual = options_.recompute_activations && i > 0 ? layer_again(i, residual, places)
                                                       : layer(i, residual, places);
  }
  return add_rms_norm(residual.x, residual.delta, output_norm_, config_.norm_epsilon, type_).out;
}

at::Tensor StockDecoder::head() const {
  if (trains_matrices_alone()) return output_;
  const at::Tensor& whole = output_.defined() ? output_ : embedding_;
  return (kept_.defined() ? whole.index_select(0, kept_) : whole).to(type_);
}

at::Tensor StockDecoder::logits(const Batch& batch) {
  const at::Tensor raw = at::linear(hidden(batch), head());
  if (config_.logit_soft_cap == 0.0F) return raw;
  return at::tanh(raw.div(config_.logit_soft_cap)).mul(config_.logit_soft_cap);
}

Loss StockDecoder::loss(const Batch& batch, double label_smoothing, double divisor) {
  std::vector<std::int32_t> labels = batch.labels;
  if (!class_of_.empty()) {
    for (std::int32_t& label : labels) {
      label = class_of_[static_cast<std::size_t>(label)];
      TANDEM_CHECK(label >= 0);
    }
  }
  const CrossEntropyOutput out =
      smoothed_cross_entropy(logits(batch), ids_tensor(labels), static_cast<float>(label_smoothing), divisor);
  return {out.loss, out.plain};
}

}  // namespace tandem
