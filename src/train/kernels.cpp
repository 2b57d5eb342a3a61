// Each kernel is compiled for several instruction sets and chosen once at load (target_clones), since a
// trainer built for the lowest common CPU would leave three quarters of the vector width unused. The loops
// are plain: `omp simd` says that a sum may be split over lanes, and everything else vectorises as it stands.
#include "train/kernels.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

namespace tandem {
namespace {

template <class T>
TANDEM_INLINE void rms_norm_rows(const RmsNormKernel& k, RowRange rows) {
  const std::int64_t n = k.width;
  for (std::int64_t row = rows.begin; row < rows.end; ++row) {
    const float* x = k.x + row * n;
    if (k.delta != nullptr) {
      const T* delta = static_cast<const T*>(k.delta) + row * n;
      float* sum = k.sum + row * n;
#pragma omp simd
      for (std::int64_t i = 0; i < n; ++i) sum[i] = x[i] + load(delta[i]);
      x = sum;
    }
    float squares = 0.0F;
#pragma omp simd reduction(+ : squares)
    for (std::int64_t i = 0; i < n; ++i) squares += x[i] * x[i];
    const float inverse = 1.0F / std::sqrt(squares / static_cast<float>(n) + k.epsilon);
    k.inverse_rms[row] = inverse;
    T* out = static_cast<T*>(k.out) + row * n;
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) store(x[i] * inverse * k.gain[i], out[i]);
  }
}

template <class T>
TANDEM_INLINE void rms_norm_backward_rows(const RmsNormBackwardKernel& k, RowRange rows, float* d_gain) {
  const std::int64_t n = k.width;
  for (std::int64_t row = rows.begin; row < rows.end; ++row) {
    const float* x = k.sum + row * n;
    const T* d_out = static_cast<const T*>(k.d_out) + row * n;
    const float inverse = k.inverse_rms[row];
    float dot = 0.0F;
#pragma omp simd reduction(+ : dot)
    for (std::int64_t i = 0; i < n; ++i) dot += load(d_out[i]) * k.gain[i] * x[i];
    const float along = dot * inverse * inverse * inverse / static_cast<float>(n);
    float* d_x = k.d_x + row * n;
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) {
      const float d = load(d_out[i]);
      d_gain[i] += d * x[i] * inverse;
      d_x[i] = d * k.gain[i] * inverse - x[i] * along;
    }
    if (k.d_sum != nullptr) {
      const float* d_sum = k.d_sum + row * n;
#pragma omp simd
      for (std::int64_t i = 0; i < n; ++i) d_x[i] += d_sum[i];
    }
    if (k.d_delta != nullptr) {
      T* d_delta = static_cast<T*>(k.d_delta) + row * n;
#pragma omp simd
      for (std::int64_t i = 0; i < n; ++i) store(d_x[i], d_delta[i]);
    }
  }
}

template <GateActivation kActivation>
TANDEM_INLINE float inner_slope_of(float x) {
  if constexpr (kActivation == GateActivation::kSilu) return 1.0F;
  return 1.59576912F * (1.0F + 3.0F * 0.044715F * x * x);
}

template <class T, GateActivation kActivation>
TANDEM_INLINE void gate_rows(const GateKernel& k, RowRange rows) {
  for (std::int64_t row = rows.begin; row < rows.end; ++row) {
    const T* gate = static_cast<const T*>(k.gate) + row * k.stride;
    const T* up = static_cast<const T*>(k.up) + row * k.stride;
    T* out = static_cast<T*>(k.out) + row * k.width;
#pragma omp simd
    for (std::int64_t i = 0; i < k.width; ++i) {
      const float g = load(gate[i]);
      store(g * sigmoid(inner_of<kActivation>(g)) * load(up[i]), out[i]);
    }
  }
}

template <class T, GateActivation kActivation>
TANDEM_INLINE void gate_backward_rows(const GateBackwardKernel& k, RowRange rows) {
  for (std::int64_t row = rows.begin; row < rows.end; ++row) {
    const T* gate = static_cast<const T*>(k.gate) + row * k.stride;
    const T* up = static_cast<const T*>(k.up) + row * k.stride;
    const T* d_out = static_cast<const T*>(k.d_out) + row * k.width;
    T* d_gate = static_cast<T*>(k.d_gate) + row * k.stride;
    T* d_up = static_cast<T*>(k.d_up) + row * k.stride;
#pragma omp simd
    for (std::int64_t i = 0; i < k.width; ++i) {
      const float g = load(gate[i]), d = load(d_out[i]);
      const float s = sigmoid(inner_of<kActivation>(g));
      store(d * g * s, d_up[i]);
      store(d * load(up[i]) * s * (1.0F + g * inner_slope_of<kActivation>(g) * (1.0F - s)), d_gate[i]);
    }
  }
}

/// The first n_rotated dimensions of a head turned by +angle (direction 1) or -angle (-1), the others copied.
template <class T>
TANDEM_INLINE void rotate_neighbours(const T* in, T* out, const float* cosine, const float* sine,
                                     std::int64_t n_rotated, float direction) {
#pragma omp simd
  for (std::int64_t i = 0; i < n_rotated / 2; ++i) {
    const float a = load(in[2 * i]), b = load(in[2 * i + 1]);
    const float s = direction * sine[i];
    store(a * cosine[i] - b * s, out[2 * i]);
    store(a * s + b * cosine[i], out[2 * i + 1]);
  }
}
template <class T>
TANDEM_INLINE void rotate_halves(const T* in, T* out, const float* cosine, const float* sine,
                                 std::int64_t n_rotated, float direction) {
  const std::int64_t half = n_rotated / 2;
#pragma omp simd
  for (std::int64_t i = 0; i < half; ++i) {
    const float a = load(in[i]), b = load(in[i + half]);
    const float s = direction * sine[i];
    store(a * cosine[i] - b * s, out[i]);
    store(a * s + b * cosine[i], out[i + half]);
  }
}

enum class Direction { kScatter, kGather };

template <class T, Direction kDirection>
TANDEM_INLINE void move_heads(const HeadsKernel& k, RowRange rows) {
  const std::int64_t half = k.n_rotated / 2;
  constexpr float kDirectionSign = kDirection == Direction::kScatter ? 1.0F : -1.0F;
  for (std::int64_t row = rows.begin; row < rows.end; ++row) {
    const std::int64_t sequence = k.place[row] / k.n_places, place = k.place[row] % k.n_places;
    for (std::int64_t head = 0; head < k.n_heads; ++head) {
      T* packed = static_cast<T*>(k.packed) + (row * k.n_slices + k.first_slice + head) * k.head_dim;
      T* padded =
          static_cast<T*>(k.padded) + ((sequence * k.n_heads + head) * k.n_places + place) * k.head_dim;
      const T* in = kDirection == Direction::kScatter ? packed : padded;
      T* out = kDirection == Direction::kScatter ? padded : packed;
      const std::int64_t n_rotated = k.cosine == nullptr ? 0 : k.n_rotated;
      std::memcpy(out + n_rotated, in + n_rotated,
                  static_cast<std::size_t>(k.head_dim - n_rotated) * sizeof(T));
      if (n_rotated == 0) continue;
      const float *cosine = k.cosine + row * half, *sine = k.sine + row * half;
      if (k.pairs == RotatedPairs::kNeighbours) {
        rotate_neighbours(in, out, cosine, sine, n_rotated, kDirectionSign);
      } else {
        rotate_halves(in, out, cosine, sine, n_rotated, kDirectionSign);
      }
    }
  }
}

template <class T>
TANDEM_INLINE void masked_softmax_rows(const MaskedSoftmaxKernel& k, RowRange rows) {
  const std::int64_t n = k.n_places;
  std::vector<float> buffer(static_cast<std::size_t>(n));
  float* p = buffer.data();
  for (std::int64_t row = rows.begin; row < rows.end; ++row) {
    const std::int64_t sequence = row / (k.n_heads * n);
    const float* mask = k.mask + (sequence * n + row % n) * n;
    T* scores = static_cast<T*>(k.scores) + row * n;
    float highest = -std::numeric_limits<float>::infinity();
#pragma omp simd reduction(max : highest)
    for (std::int64_t i = 0; i < n; ++i) {
      p[i] = load(scores[i]) * k.scale + mask[i];
      highest = p[i] > highest ? p[i] : highest;
    }
    if (highest == -std::numeric_limits<float>::infinity()) highest = 0.0F;
    float sum = 0.0F;
#pragma omp simd reduction(+ : sum)
    for (std::int64_t i = 0; i < n; ++i) {
      p[i] = p[i] < -1e30F ? 0.0F : fast_exp(p[i] - highest);
      sum += p[i];
    }
    const float inverse = sum > 0.0F ? 1.0F / sum : 0.0F;
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) store(p[i] * inverse, scores[i]);
  }
}

template <class T>
TANDEM_INLINE void masked_softmax_backward_rows(const MaskedSoftmaxBackwardKernel& k, RowRange rows) {
  const std::int64_t n = k.n_places;
  for (std::int64_t row = rows.begin; row < rows.end; ++row) {
    const T* p = static_cast<const T*>(k.probabilities) + row * n;
    T* d = static_cast<T*>(k.gradient) + row * n;
    float dot = 0.0F;
#pragma omp simd reduction(+ : dot)
    for (std::int64_t i = 0; i < n; ++i) dot += load(p[i]) * load(d[i]);
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) store(k.scale * load(p[i]) * (load(d[i]) - dot), d[i]);
  }
}

template <class T>
TANDEM_INLINE void cross_entropy_rows(const CrossEntropyKernel& k, RowRange rows) {
  const std::int64_t n = k.n_classes;
  const float share = k.smoothing / static_cast<float>(n);
  std::vector<float> buffer(static_cast<std::size_t>(n));
  float* e = buffer.data();
  for (std::int64_t row = rows.begin; row < rows.end; ++row) {
    T* z = static_cast<T*>(k.logits) + row * n;
    float highest = load(z[0]), total = 0.0F;
#pragma omp simd reduction(max : highest) reduction(+ : total)
    for (std::int64_t i = 0; i < n; ++i) {
      e[i] = load(z[i]);
      highest = e[i] > highest ? e[i] : highest;
      total += e[i];
    }
    const std::int32_t label = k.labels[row];
    const float label_logit = e[label];
    float sum = 0.0F;
#pragma omp simd reduction(+ : sum)
    for (std::int64_t i = 0; i < n; ++i) {
      e[i] = fast_exp(e[i] - highest);
      sum += e[i];
    }
    const float log_sum = highest + std::log(sum);
    k.plain_loss[row] = log_sum - label_logit;
    k.loss[row] = log_sum - (1.0F - k.smoothing) * label_logit - share * total;
    const float scale = k.gradient_scale / sum, offset = k.gradient_scale * share;
    const float at_label = e[label] * scale - offset - k.gradient_scale * (1.0F - k.smoothing);
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) store(e[i] * scale - offset, z[i]);
    store(at_label, z[label]);
  }
}

}  // namespace

TANDEM_CLONES void rms_norm_forward(const RmsNormKernel& kernel, RowRange rows) {
  kernel.type == ElementType::kFloat32 ? rms_norm_rows<float>(kernel, rows)
                                       : rms_norm_rows<Bfloat16>(kernel, rows);
}

TANDEM_CLONES void rms_norm_backward(const RmsNormBackwardKernel& kernel, RowRange rows, float* d_gain) {
  kernel.type == ElementType::kFloat32 ? rms_norm_backward_rows<float>(kernel, rows, d_gain)
                                       : rms_norm_backward_rows<Bfloat16>(kernel, rows, d_gain);
}

TANDEM_CLONES void gate_forward(const GateKernel& kernel, RowRange rows) {
  const bool is_float = kernel.type == ElementType::kFloat32;
  if (kernel.activation == GateActivation::kSilu) {
    is_float ? gate_rows<float, GateActivation::kSilu>(kernel, rows)
             : gate_rows<Bfloat16, GateActivation::kSilu>(kernel, rows);
  } else {
    is_float ? gate_rows<float, GateActivation::kGelu>(kernel, rows)
             : gate_rows<Bfloat16, GateActivation::kGelu>(kernel, rows);
  }
}

TANDEM_CLONES void gate_backward(const GateBackwardKernel& kernel, RowRange rows) {
  const bool is_float = kernel.type == ElementType::kFloat32;
  if (kernel.activation == GateActivation::kSilu) {
    is_float ? gate_backward_rows<float, GateActivation::kSilu>(kernel, rows)
             : gate_backward_rows<Bfloat16, GateActivation::kSilu>(kernel, rows);
  } else {
    is_float ? gate_backward_rows<float, GateActivation::kGelu>(kernel, rows)
             : gate_backward_rows<Bfloat16, GateActivation::kGelu>(kernel, rows);
  }
}

TANDEM_CLONES void scatter_heads(const HeadsKernel& kernel, RowRange rows) {
  kernel.type == ElementType::kFloat32 ? move_heads<float, Direction::kScatter>(kernel, rows)
                                       : move_heads<Bfloat16, Direction::kScatter>(kernel, rows);
}

TANDEM_CLONES void gather_heads(const HeadsKernel& kernel, RowRange rows) {
  kernel.type == ElementType::kFloat32 ? move_heads<float, Direction::kGather>(kernel, rows)
                                       : move_heads<Bfloat16, Direction::kGather>(kernel, rows);
}

TANDEM_CLONES void masked_softmax_forward(const MaskedSoftmaxKernel& kernel, RowRange rows) {
  kernel.type == ElementType::kFloat32 ? masked_softmax_rows<float>(kernel, rows)
                                       : masked_softmax_rows<Bfloat16>(kernel, rows);
}

TANDEM_CLONES void masked_softmax_backward(const MaskedSoftmaxBackwardKernel& kernel, RowRange rows) {
  kernel.type == ElementType::kFloat32 ? masked_softmax_backward_rows<float>(kernel, rows)
                                       : masked_softmax_backward_rows<Bfloat16>(kernel, rows);
}

TANDEM_CLONES void cross_entropy(const CrossEntropyKernel& kernel, RowRange rows) {
  kernel.type == ElementType::kFloat32 ? cross_entropy_rows<float>(kernel, rows)
                                       : cross_entropy_rows<Bfloat16>(kernel, rows);
}

TANDEM_CLONES void adamw(const AdamWKernel& k, RowRange elements) {
  const auto step = static_cast<double>(k.step);
  const auto correct1 = static_cast<float>(1.0 / (1.0 - std::pow(static_cast<double>(k.beta1), step)));
  const auto correct2 = static_cast<float>(1.0 / (1.0 - std::pow(static_cast<double>(k.beta2), step)));
  const float keep = 1.0F - k.learning_rate * k.weight_decay;
#pragma omp simd
  for (std::int64_t i = elements.begin; i < elements.end; ++i) {
    const float g = k.gradients[i] * k.gradient_scale;
    const float m = k.beta1 * k.first_moments[i] + (1.0F - k.beta1) * g;
    const float v = k.beta2 * k.second_moments[i] + (1.0F - k.beta2) * g * g;
    k.first_moments[i] = m;
    k.second_moments[i] = v;
    const float update = m * correct1 / (std::sqrt(v * correct2) + k.epsilon);
    k.parameters[i] = keep * k.parameters[i] - k.learning_rate * update;
  }
}

TANDEM_CLONES void move_average(float decay, const float* parameters, float* average, RowRange elements) {
#pragma omp simd
  for (std::int64_t i = elements.begin; i < elements.end; ++i) {
    average[i] += (1.0F - decay) * (parameters[i] - average[i]);
  }
}

TANDEM_CLONES double sum_of_squares(const float* values, RowRange elements) {
  double sum = 0.0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t i = elements.begin; i < elements.end; ++i) {
    sum += static_cast<double>(values[i]) * static_cast<double>(values[i]);
  }
  return sum;
}

}  // namespace tandem
