// The fused kernels (kernels.h) as differentiable operations on torch tensors. Each has its equation in the
// plain operations of torch as oracle in the tests. Included by the decoder and the tests only: torch's
// headers are slow.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <utility>

#include "train/kernels.h"

namespace tandem {

struct NormOutput {
  at::Tensor sum;  // [rows, width] f32: x + delta
  at::Tensor out;  // [rows, width], normalised
};
/// Adds `delta` (undefined: nothing) to the residual stream x [rows, width] f32, and normalises the sum.
/// `delta` and `out` are of `type`.
NormOutput add_rms_norm(const at::Tensor& x, const at::Tensor& delta, const at::Tensor& gain, float epsilon,
                        at::ScalarType type);

/// activation(gate) * up;  gate_up [rows, 2 * width] -> [rows, width].
at::Tensor gate_halves(const at::Tensor& gate_up, GateActivation activation);
/// The same with gate and up [rows, width] apart.
at::Tensor gate(const at::Tensor& gate, const at::Tensor& up, GateActivation activation);

/// Where the packed rows of a batch stand in the padded squares of attention, and their rotation.
struct AttentionPlaces {
  std::int64_t n_sequences = 0, n_places = 0;
  at::Tensor place;         // [rows] int32, see Batch::place
  at::Tensor cosine, sine;  // [rows, n_rotated / 2] f32; undefined: no rotation
  RotatedPairs pairs = RotatedPairs::kNeighbours;
};

struct Heads {
  at::Tensor q;     // [sequences, n_heads, n_places, head_dim], rotated
  at::Tensor k, v;  // [sequences, n_kv_heads, n_places, head_dim], k rotated
};
/// qkv [rows, (n_heads + 2 * n_kv_heads) * head_dim], the heads of q first, then k, then v. Padding becomes
/// zeros.
Heads split_heads(const at::Tensor& qkv, const AttentionPlaces& places, std::int64_t n_heads,
                  std::int64_t n_kv_heads);
/// packed [rows, n_heads * head_dim] -> [sequences, n_heads, n_places, head_dim], rotated unless `places` has
/// no rotation.
at::Tensor place_heads(const at::Tensor& packed, const AttentionPlaces& places, std::int64_t n_heads);
/// padded [sequences, n_heads, n_places, head_dim] -> [rows, n_heads * head_dim].
at::Tensor merge_heads(const at::Tensor& padded, const AttentionPlaces& places);

/// softmax(scale * scores + mask) over the last dimension, in place of `scores`.
///   scores [sequences, n_heads, n_places, n_places]    mask [sequences, n_places, n_places] f32
at::Tensor masked_softmax(const at::Tensor& scores, const at::Tensor& mask, float scale);

struct CrossEntropyOutput {
  at::Tensor loss;   // scalar: sum over rows / divisor, with smoothing; differentiable
  at::Tensor plain;  // [rows] nats per token, without smoothing
};
/// Consumes `logits` [rows, n_classes]: their memory becomes their gradient.  labels [rows] int32
CrossEntropyOutput smoothed_cross_entropy(const at::Tensor& logits, const at::Tensor& labels, float smoothing,
                                          double divisor);

}  // namespace tandem
