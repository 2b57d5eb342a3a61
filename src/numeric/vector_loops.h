// What loops over rows of numbers are written with, so that a compiler makes vector code of them.
//
// A build is for the lowest common CPU, which would leave three quarters of the vector width unused:
// functions marked TANDEM_CLONES are compiled for several instruction sets, and one is chosen at load.
// Everything that they call must be TANDEM_INLINE.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

// Sanitizers cannot instrument the resolver that picks a clone; clang 14 does not know the levels by name.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)
#define TANDEM_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define TANDEM_CLONES
#endif
#define TANDEM_INLINE [[gnu::always_inline]] inline

namespace tandem {

/// Held as its 16 bits.
struct Bfloat16 {
  std::uint16_t bits;
};

/// IEEE's half precision, held as its 16 bits.
struct Float16 {
  std::uint16_t bits;
};

TANDEM_INLINE float load(float value) {
  return value;
}
TANDEM_INLINE float load(Bfloat16 value) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(value.bits) << 16);
}
/// Without the CPU's own instruction, which compilers do not find in loops; exact for every value.
TANDEM_INLINE float load(Float16 value) {
  constexpr std::uint32_t kMagnitude = 0x7fffU, kInfinity = 0x7c00U;
  constexpr float kRebias = 0x1p112F;  // between the two exponents' biases
  const std::uint32_t magnitude = value.bits & kMagnitude;
  const std::uint32_t sign = static_cast<std::uint32_t>(value.bits & ~kMagnitude) << 16;
  const float scaled = std::bit_cast<float>(magnitude << 13) * kRebias;
  const std::uint32_t special = magnitude >= kInfinity ? 0x7f800000U : 0U;
  return std::bit_cast<float>(std::bit_cast<std::uint32_t>(scaled) | special | sign);
}
TANDEM_INLINE void store(float value, float& out) {
  out = value;
}
/// Rounds to nearest, ties to even. NaN may become infinity.
TANDEM_INLINE void store(float value, Bfloat16& out) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  out.bits = static_cast<std::uint16_t>((bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16);
}

/// exp(x) for x <= 88 to 2 units in the last place; below -87 the smallest normal number.
TANDEM_INLINE float fast_exp(float x) {
  constexpr float kLog2E = 1.44269504F, kLn2High = 0.693359375F, kLn2Low = -2.12194440e-4F;
  constexpr float kRound = 12582912.0F;  // 1.5 * 2^23: adding it leaves the nearest integer in the low bits
  x = x < -87.0F ? -87.0F : x;
  const float shifted = x * kLog2E + kRound;
  const float whole = shifted - kRound;
  const float r = (x - whole * kLn2High) - whole * kLn2Low;
  float series = 1.9875691500e-4F;
  series = series * r + 1.3981999507e-3F;
  series = series * r + 8.3334519073e-3F;
  series = series * r + 4.1665795894e-2F;
  series = series * r + 1.6666665459e-1F;
  series = series * r + 5.0000001201e-1F;
  series = series * r * r + r + 1.0F;
  const std::int32_t power = std::bit_cast<std::int32_t>(shifted) - std::bit_cast<std::int32_t>(kRound) + 127;
  return series * std::bit_cast<float>(power << 23);
}

enum class GateActivation {
  kSilu,  // x * sigmoid(x)
  kGelu,  // its tanh form: x * sigmoid(2 sqrt(2 / pi) (x + 0.044715 x^3))
};

/// x * sigmoid(z(x)): what the two activations have in common, z and its slope.
template <GateActivation kActivation>
TANDEM_INLINE float inner_of(float x) {
  if constexpr (kActivation == GateActivation::kSilu) return x;
  return 1.59576912F * (x + 0.044715F * x * x * x);
}
TANDEM_INLINE float sigmoid(float z) {
  return 1.0F / (1.0F + fast_exp(std::min(-z, 80.0F)));
}

}  // namespace tandem
