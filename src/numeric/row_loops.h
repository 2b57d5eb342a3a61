// Loops over one row of numbers that inference spends time in, outside of matrix products.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "numeric/block_products.h"
#include "numeric/vector_loops.h"

namespace tandem {

/// Numbers are in one of these many classes each; those of class 0 do not count.
inline constexpr int kClasses = 4;
using ClassSums = std::array<double, kClasses>;

/// The greatest of those that count; minus infinity if there is none. Not a NaN where there is another.
///   classes  of x, as long
float greatest(std::span<const float> x, std::span<const std::uint8_t> classes);
/// Adds exp(x - shift) to the sum of its class, to a relative 1e-6. Needs x <= shift where it counts.
void add_exponentials(std::span<const float> x, std::span<const std::uint8_t> classes, float shift,
                      ClassSums& sums);

/// y += the sum of rows, each times its weight.
///   rows  [n_rows, n]   weights  [n_rows]   y  [n]
void add_weighted(const float* rows, const float* weights, std::int64_t n_rows, float* y, std::int64_t n);

/// out = x / rms(x) * gain, where rms(x)^2 is the mean of the squares plus epsilon.
///   x, gain, out  [n]; out may be x
void normalise_row(const float* x, const float* gain, float epsilon, float* out, std::int64_t n);
/// The same, rounded as products take it. n is a multiple of kBlockInputs.
void normalise_row(const float* x, const float* gain, float epsilon, InputBlock* out, std::int64_t n);

/// out = activation(gate) * up, rounded as products take it.
///   gate, up  [n], n a multiple of kBlockInputs
void gate_row(GateActivation activation, const float* gate, const float* up, InputBlock* out, std::int64_t n);

}  // namespace tandem
