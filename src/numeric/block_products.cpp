#include "numeric/block_products.h"

#include <cmath>
#include <vector>

#include "numeric/block_kernels.h"
#include "numeric/block_rounding.h"

namespace tandem {

namespace {

/// One output's weights of a block, among those of its panel.
TANDEM_INLINE void place(const InputBlock& output, int i, WeightBlock& out) {
  constexpr int kZero = 128;
  const auto at = static_cast<std::size_t>(i);
  for (std::size_t k = 0; k < kBlockInputs; ++k)
    out.values[k / 4][at][k % 4] = static_cast<std::uint8_t>(output.values[k] + kZero);
  out.scales[at] = output.scale;
}

}  // namespace

TANDEM_CLONES void round_row(const float* x, InputBlock* out, std::int64_t n) {
  for (std::int64_t i = 0; i < n / kBlockInputs; ++i) round_block(x + kBlockInputs * i, out[i]);
}

void round_panel(const float* rows, WeightBlock* out, std::int64_t n_in) {
  std::vector<InputBlock> blocks(static_cast<std::size_t>(n_in / kBlockInputs));
  for (int i = 0; i < kPanelOutputs; ++i) {
    round_row(rows + n_in * i, blocks.data(), n_in);
    for (std::size_t block = 0; block < blocks.size(); ++block) place(blocks[block], i, out[block]);
  }
}

void multiply_plainly(const BlockTile& tile) {
  for (int row = 0; row < tile.n_rows; ++row) {
    for (std::size_t i = 0; i < kPanelOutputs; ++i) {
      float sum = 0;
      for (int block = 0; block < tile.n_blocks; ++block) {
        const WeightBlock& weights = tile.weights[block];
        const InputBlock& inputs = tile.inputs[std::ptrdiff_t{row} * tile.n_blocks + block];
        std::int32_t product = inputs.offset;
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

void multiply(const BlockTile& tile) {
  static const BlockKernel kFastest =
      has_block_products()
          ? block_kernels().front()
          : BlockKernel{"plain", {multiply_plainly, multiply_plainly, multiply_plainly, multiply_plainly}};
  kFastest.multiply(tile);
}

}  // namespace tandem
