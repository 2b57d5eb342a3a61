#include "numeric/row_loops.h"

#include <cmath>
#include <limits>

#include "numeric/block_rounding.h"

namespace tandem {

namespace {

template <GateActivation kActivation>
TANDEM_INLINE void gate(const float* gate, const float* up, InputBlock* out, std::int64_t n) {
  for (std::int64_t block = 0; block < n / kBlockInputs; ++block, gate += kBlockInputs, up += kBlockInputs) {
    float values[kBlockInputs];
#pragma omp simd
    for (int i = 0; i < kBlockInputs; ++i)
      values[i] = gate[i] * sigmoid(inner_of<kActivation>(gate[i])) * up[i];
    round_block(values, out[block]);
  }
}

/// 1 / rms(x).
TANDEM_INLINE float norm_factor(const float* x, float epsilon, std::int64_t n) {
  float squares = 0;
#pragma omp simd reduction(+ : squares)
  for (std::int64_t i = 0; i < n; ++i) squares += x[i] * x[i];
  return 1.0F / std::sqrt(squares / static_cast<float>(n) + epsilon);
}

}  // namespace

TANDEM_CLONES float greatest(std::span<const float> x, std::span<const std::uint8_t> classes) {
  constexpr float kNone = -std::numeric_limits<float>::infinity();
  float most = kNone;
#pragma omp simd reduction(max : most)
  for (std::size_t i = 0; i < x.size(); ++i) {
    const float value = classes[i] == 0 ? kNone : x[i];
    most = value > most ? value : most;
  }
  return most;
}

TANDEM_CLONES void add_exponentials(std::span<const float> x, std::span<const std::uint8_t> classes,
                                    float shift, ClassSums& sums) {
  constexpr std::size_t kBlock = 512;  // summed in f32; blocks are summed in f64
  for (std::size_t begin = 0; begin < x.size(); begin += kBlock) {
    const std::size_t end = std::min(begin + kBlock, x.size());
    float first = 0, second = 0, third = 0;
#pragma omp simd reduction(+ : first, second, third)
    for (std::size_t i = begin; i < end; ++i) {
      const float e = fast_exp(x[i] - shift);
      first += classes[i] == 1 ? e : 0.0F;
      second += classes[i] == 2 ? e : 0.0F;
      third += classes[i] == 3 ? e : 0.0F;
    }
    sums[1] += static_cast<double>(first);
    sums[2] += static_cast<double>(second);
    sums[3] += static_cast<double>(third);
  }
}

TANDEM_CLONES void add_weighted(const float* rows, const float* weights, std::int64_t n_rows, float* y,
                                std::int64_t n) {
  constexpr std::int64_t kGroup = 4;  // rows for one reading of y
  std::int64_t row = 0;
  for (; row + kGroup <= n_rows; row += kGroup, rows += kGroup * n, weights += kGroup) {
    const float *first = rows, *second = first + n, *third = second + n, *fourth = third + n;
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i)
      y[i] += weights[0] * first[i] + weights[1] * second[i] + weights[2] * third[i] + weights[3] * fourth[i];
  }
  for (; row < n_rows; ++row, rows += n, ++weights)
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) y[i] += weights[0] * rows[i];
}

TANDEM_CLONES void normalise_row(const float* x, const float* gain, float epsilon, float* out,
                                 std::int64_t n) {
  const float factor = norm_factor(x, epsilon, n);
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) out[i] = x[i] * factor * gain[i];
}

TANDEM_CLONES void normalise_row(const float* x, const float* gain, float epsilon, InputBlock* out,
                                 std::int64_t n) {
  const float factor = norm_factor(x, epsilon, n);
  for (std::int64_t block = 0; block < n / kBlockInputs; ++block, x += kBlockInputs, gain += kBlockInputs) {
    float values[kBlockInputs];
#pragma omp simd
    for (int i = 0; i < kBlockInputs; ++i) values[i] = x[i] * factor * gain[i];
    round_block(values, out[block]);
  }
}

TANDEM_CLONES void gate_row(GateActivation activation, const float* gate_values, const float* up,
                            InputBlock* out, std::int64_t n) {
  activation == GateActivation::kSilu ? gate<GateActivation::kSilu>(gate_values, up, out, n)
                                      : gate<GateActivation::kGelu>(gate_values, up, out, n);
}

}  // namespace tandem
