// The element-wise work of a training step, fused: what stands between two matrix products is one pass over
// memory.
//
// On a CPU these passes, not the products, are half of a step if each is an operation of its own: a bfloat16
// product of oneDNN runs at hundreds of GFLOP/s, memory does not. Each kernel here works on a range of rows,
// so that the caller spreads rows over threads, and calculates in float32 whatever the type of its inputs. No
// torch in here: operations.h wraps each pair (forward, backward) as one differentiable operation.
#pragma once

#include <cstdint>

#include "numeric/vector_loops.h"

namespace tandem {

/// A bfloat16 is held as its 16 bits.
enum class ElementType { kFloat32, kBfloat16 };

/// Rows begin .. end-1.
struct RowRange {
  std::int64_t begin = 0, end = 0;
};

/// sum = x + delta;  out = sum * inverse_rms * gain,  inverse_rms = (mean(sum^2) + epsilon)^-1/2.
struct RmsNormKernel {
  ElementType type;  // of delta and out
  std::int64_t width;
  float epsilon;
  const float* x;      // [rows, width]
  const void* delta;   // [rows, width], or null: nothing is added
  const float* gain;   // [width]
  float* sum;          // [rows, width]; unused without delta
  void* out;           // [rows, width]
  float* inverse_rms;  // [rows]
};
void rms_norm_forward(const RmsNormKernel& kernel, RowRange rows);

/// Gradients of RmsNormKernel. `d_sum` may be null (nothing else used the sum), `d_delta` too (there was no
/// delta).
struct RmsNormBackwardKernel {
  ElementType type;  // of d_out and d_delta
  std::int64_t width;
  const float* sum;          // [rows, width]
  const float* gain;         // [width]
  const float* inverse_rms;  // [rows]
  const float* d_sum;        // [rows, width]
  const void* d_out;         // [rows, width]
  float* d_x;                // [rows, width]
  void* d_delta;             // [rows, width]
};
/// Adds the range's share of the gain's gradient to d_gain [width].
void rms_norm_backward(const RmsNormBackwardKernel& kernel, RowRange rows, float* d_gain);

/// out = activation(gate) * up. Rows of gate and of up begin `stride` elements apart (they may lie side by
/// side in one product's output).
struct GateKernel {
  ElementType type;
  GateActivation activation;
  std::int64_t width, stride;
  const void *gate, *up;  // [rows, width]
  void* out;              // [rows, width], dense
};
void gate_forward(const GateKernel& kernel, RowRange rows);
struct GateBackwardKernel {
  ElementType type;
  GateActivation activation;
  std::int64_t width, stride;
  const void *gate, *up;
  const void* d_out;    // [rows, width], dense
  void *d_gate, *d_up;  // as gate and up
};
void gate_backward(const GateBackwardKernel& kernel, RowRange rows);

enum class RotatedPairs {
  kNeighbours,  // dimensions 2i and 2i + 1
  kHalves,      // i and i + n_rotated / 2
};

/// Rows of a packed batch <-> padded heads, with the rotation by position on the way: the first n_rotated
/// dimensions of each head, in pairs.
///   packed  [rows, n_slices, head_dim]           row r of sequence s at place p: place[r] = s * n_places + p
///   padded  [sequences, n_heads, n_places, head_dim]
/// Slices first_slice .. first_slice + n_heads - 1 of the packed rows are the heads.
struct HeadsKernel {
  ElementType type;
  std::int64_t n_slices, first_slice, n_heads, head_dim, n_places;
  const std::int32_t* place;  // [rows]
  RotatedPairs pairs;
  std::int64_t n_rotated;
  const float* cosine;  // [rows, n_rotated / 2]; null: no rotation
  const float* sine;
  void* packed;
  void* padded;
};
/// packed -> padded, rotated by +angle.
void scatter_heads(const HeadsKernel& kernel, RowRange rows);
/// padded -> packed, rotated by -angle: the inverse, and the gradient, of scatter_heads.
void gather_heads(const HeadsKernel& kernel, RowRange rows);

/// probabilities = softmax(scale * scores + mask) in place; a row that sees nothing (padding) becomes zeros.
/// Rows are those of scores [sequences, n_heads, n_places, n_places]; the mask is one for all heads of a
/// sequence.
struct MaskedSoftmaxKernel {
  ElementType type;
  std::int64_t n_heads, n_places;
  float scale;
  const float* mask;  // [sequences, n_places, n_places]
  void* scores;
};
void masked_softmax_forward(const MaskedSoftmaxKernel& kernel, RowRange rows);
/// d_probabilities -> d_scores, in place: scale * p * (d_p - sum(p * d_p)).
struct MaskedSoftmaxBackwardKernel {
  ElementType type;
  std::int64_t n_places;
  float scale;
  const void* probabilities;
  void* gradient;
};
void masked_softmax_backward(const MaskedSoftmaxBackwardKernel& kernel, RowRange rows);

/// Cross-entropy with label smoothing, and its gradient where the logits were:
///   loss[r] = log(sum(exp(z))) - (1 - smoothing) * z[label] - smoothing * mean(z)
///   z      <- gradient_scale * (softmax(z) - (1 - smoothing) * onehot(label) - smoothing / n_classes)
struct CrossEntropyKernel {
  ElementType type;
  std::int64_t n_classes;
  float smoothing, gradient_scale;
  const std::int32_t* labels;  // [rows]
  void* logits;                // [rows, n_classes]
  float* loss;                 // [rows]: with smoothing
  float* plain_loss;           // [rows]: nats per token, without
};
void cross_entropy(const CrossEntropyKernel& kernel, RowRange rows);

/// One AdamW step over a flat buffer; `step` counts from 1. Gradients are multiplied by `gradient_scale`
/// first.
struct AdamWKernel {
  float learning_rate, beta1, beta2, epsilon, weight_decay, gradient_scale;
  std::int64_t step;
  float* parameters;
  const float* gradients;
  float* first_moments;
  float* second_moments;
};
void adamw(const AdamWKernel& kernel, RowRange elements);

/// average += (1 - decay) * (parameters - average).
void move_average(float decay, const float* parameters, float* average, RowRange elements);

/// Sum of squares of values[begin..end).
double sum_of_squares(const float* values, RowRange elements);

}  // namespace tandem
