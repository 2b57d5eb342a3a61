// Rounding to blocks of integers, for loops that make a block's numbers on the way.
#pragma once

#include "numeric/block_products.h"
#include "numeric/vector_loops.h"

namespace tandem {

/// The scale of a block, and what its numbers are multiplied with.
struct BlockScale {
  float step;
  float inverse;
};

///   magnitude  the greatest of its numbers'
///   greatest   the integer that this one becomes
TANDEM_INLINE BlockScale block_scale(float magnitude, float greatest) {
  constexpr std::uint32_t kBits = 13;  // fewer than f32 has
  constexpr std::uint32_t kInfinity = 0x7f800000U;
  const auto exact = std::bit_cast<std::uint32_t>(magnitude / greatest);
  const std::uint32_t half = (1U << (kBits - 1)) - 1U + ((exact >> kBits) & 1U);
  const std::uint32_t rounded = (exact + half) & ~((1U << kBits) - 1U);
  return {.step = std::bit_cast<float>(exact < kInfinity ? rounded : exact),
          .inverse = magnitude > 0.0F ? greatest / magnitude : 0.0F};
}

TANDEM_INLINE std::int32_t nearest_integer(float x) {
  constexpr float kRound = 12582912.0F;  // 1.5 * 2^23: adding it leaves the integer in the low bits
  return std::bit_cast<std::int32_t>(x + kRound) - std::bit_cast<std::int32_t>(kRound);
}

TANDEM_INLINE float greatest_magnitude(const float* x) {
  std::uint32_t most = 0;  // of the bits without the sign, which are in the order of what they stand for
#pragma omp simd reduction(max : most)
  for (int i = 0; i < kBlockInputs; ++i) {
    const std::uint32_t magnitude = std::bit_cast<std::uint32_t>(x[i]) & 0x7fffffffU;
    most = magnitude > most ? magnitude : most;
  }
  return std::bit_cast<float>(most);
}

/// From its values.
TANDEM_INLINE void set_offsets(InputBlock& block) {
  std::int32_t all = 0;
  for (std::size_t half = 0; half < 2; ++half) {
    for (std::size_t pair = 0; pair < 2; ++pair) {
      const std::int8_t* values = block.values.data() + kBlockInputs / 2 * half + 2 * pair;
      std::int32_t sum = 0;
      for (int i = 0; i < kBlockInputs / 2; i += 4) sum += values[i] + values[i + 1];
      block.half_offsets[half][pair] = static_cast<std::int16_t>(-zero_of(WeightForm::kSix) * sum);
      all += sum;
    }
  }
  block.offset = -zero_of(WeightForm::kEight) * all;
}

/// To -127..127. x has kBlockInputs.
TANDEM_INLINE void round_block(const float* x, InputBlock& out) {
  const BlockScale scale = block_scale(greatest_magnitude(x), 127.0F);
#pragma omp simd
  for (int i = 0; i < kBlockInputs; ++i)
    out.values[static_cast<std::size_t>(i)] = static_cast<std::int8_t>(nearest_integer(x[i] * scale.inverse));
  out.scale = scale.step;
  set_offsets(out);
}

}  // namespace tandem
