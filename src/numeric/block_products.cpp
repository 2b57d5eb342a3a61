#include "numeric/block_products.h"

#include <cmath>
#include <vector>

#include "numeric/block_kernels.h"
#include "numeric/block_rounding.h"

namespace tandem {

namespace {

/// One output's weights of a block.
struct OutputBlock {
  std::array<std::int8_t, kBlockInputs> values;
  float scale;
};

TANDEM_INLINE void round_to_eight_bits(const float* x, OutputBlock& out) {
  InputBlock rounded;
  round_block(x, rounded);
  out = {.values = rounded.values, .scale = rounded.scale};
}

/// The weight of greatest magnitude becomes -32, as ggml's types of four and five bits do it: they stay what
/// they are.
TANDEM_INLINE void round_to_six_bits(const float* x, OutputBlock& out) {
  constexpr std::int32_t kLeast = -zero_of(WeightBits::kSix), kMost = -kLeast - 1;
  float least = 0, most = 0;
#pragma omp simd reduction(min : least) reduction(max : most)
  for (int i = 0; i < kBlockInputs; ++i) {
    least = x[i] < least ? x[i] : least;
    most = x[i] > most ? x[i] : most;
  }
  const float sign = most > -least ? -1.0F : 1.0F;
  const BlockScale scale = block_scale(std::max(most, -least), static_cast<float>(-kLeast));
#pragma omp simd
  for (int i = 0; i < kBlockInputs; ++i) {
    const std::int32_t value = nearest_integer(x[i] * (sign * scale.inverse));
    out.values[static_cast<std::size_t>(i)] = static_cast<std::int8_t>(value < kLeast  ? kLeast
                                                                       : value > kMost ? kMost
                                                                                       : value);
  }
  out.scale = sign * scale.step;
}

TANDEM_CLONES void round_output(const float* x, WeightBits bits, OutputBlock* out, std::int64_t n) {
  for (std::int64_t i = 0; i < n / kBlockInputs; ++i, x += kBlockInputs, ++out)
    bits == WeightBits::kSix ? round_to_six_bits(x, *out) : round_to_eight_bits(x, *out);
}

/// Among those of its panel.
void place(const OutputBlock& output, WeightBits bits, int i, WeightBlock& out) {
  const auto at = static_cast<std::size_t>(i);
  for (std::size_t k = 0; k < kBlockInputs; ++k)
    out.values[k / 4][at][k % 4] = static_cast<std::uint8_t>(output.values[k] + zero_of(bits));
  out.scales[at] = output.scale;
}

BlockKernel find_kernel(WeightBits bits) {
  for (const BlockKernel& kernel : block_kernels())
    if (kernel.bits == bits) return kernel;
  return {"plain", bits, {multiply_plainly, multiply_plainly, multiply_plainly, multiply_plainly}};
}

}  // namespace

TANDEM_CLONES void round_row(const float* x, InputBlock* out, std::int64_t n) {
  for (std::int64_t i = 0; i < n / kBlockInputs; ++i) round_block(x + kBlockInputs * i, out[i]);
}

void round_panel(const float* rows, WeightBits bits, WeightBlock* out, std::int64_t n_in) {
  std::vector<OutputBlock> blocks(static_cast<std::size_t>(n_in / kBlockInputs));
  for (int i = 0; i < kPanelOutputs; ++i) {
    round_output(rows + n_in * i, bits, blocks.data(), n_in);
    for (std::size_t block = 0; block < blocks.size(); ++block) place(blocks[block], bits, i, out[block]);
  }
}

void multiply_plainly(const BlockTile& tile) {
  for (int row = 0; row < tile.n_rows; ++row) {
    for (std::size_t i = 0; i < kPanelOutputs; ++i) {
      float sum = 0;
      for (int block = 0; block < tile.n_blocks; ++block) {
        const WeightBlock& weights = tile.weights[block];
        const InputBlock& inputs = tile.inputs[std::ptrdiff_t{row} * tile.n_blocks + block];
        std::int32_t product =
            tile.bits == WeightBits::kEight ? inputs.offset : inputs.offset / kEightOverSix;
        for (std::size_t k = 0; k < kBlockInputs; ++k)
          product += weights.values[k / 4][i][k % 4] * inputs.values[k];
        // As the CPU's instructions do it: the last product is not rounded before it is added.
        sum = std::fma(static_cast<float>(product) * weights.scales[i], inputs.scale, sum);
      }
      tile.out[tile.out_row * static_cast<std::size_t>(row) + i] = sum;
    }
  }
}

bool has_block_products() {
  return !block_kernels().empty();
}

WeightBits fastest_bits() {
  return has_block_products() ? block_kernels().front().bits : WeightBits::kEight;
}

void multiply(const BlockTile& tile) {
  static const BlockKernel kSixBits = find_kernel(WeightBits::kSix);
  static const BlockKernel kEightBits = find_kernel(WeightBits::kEight);
  (tile.bits == WeightBits::kSix ? kSixBits : kEightBits).multiply(tile);
}

}  // namespace tandem
