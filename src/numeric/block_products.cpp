#include "numeric/block_products.h"

#include <cmath>
#include <limits>
#include <vector>

#include "numeric/block_kernels.h"
#include "numeric/block_rounding.h"

namespace tandem {

namespace {

constexpr int kHalfInputs = kBlockInputs / 2;
constexpr std::int32_t kLeastOfSix = -zero_of(WeightForm::kSix), kMostOfSix = -kLeastOfSix - 1;

/// One output's weights of a block.
struct OutputBlock {
  std::array<std::int8_t, kBlockInputs> values;
  float scale;
  float second_scale;
};

/// The weight of greatest magnitude.
template <int kInputs>
TANDEM_INLINE float greatest_of(const float* x) {
  float least = 0, most = 0;
#pragma omp simd reduction(min : least) reduction(max : most)
  for (int i = 0; i < kInputs; ++i) {
    least = x[i] < least ? x[i] : least;
    most = x[i] > most ? x[i] : most;
  }
  return most > -least ? most : least;
}

TANDEM_INLINE std::int32_t six_bits_of(float x, float inverse) {
  const std::int32_t value = nearest_integer(x * inverse);
  return value < kLeastOfSix ? kLeastOfSix : value > kMostOfSix ? kMostOfSix : value;
}

template <int kInputs>
TANDEM_INLINE float square_error(const float* x, float inverse, float step) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int i = 0; i < kInputs; ++i) {
    const float error = x[i] - static_cast<float>(six_bits_of(x[i], inverse)) * step;
    sum += error * error;
  }
  return sum;
}

/// What the greatest becomes in six bits, and whether all then are what they were.
struct SixBits {
  float multiple;
  bool is_exact;
};

/// Whichever of -32 to -17 does least harm. Where all are multiples of one number, as in ggml's types without
/// an offset, that is one where they stay what they are.
template <int kInputs>
TANDEM_INLINE SixBits best_six_bits(const float* x, float greatest) {
  constexpr float kNothing = 1e-12F;  // of the greatest's square, what multiples lose by f32
  SixBits best{kLeastOfSix, greatest == 0};
  float least_error = std::numeric_limits<float>::infinity();
  for (std::int32_t n = kLeastOfSix; n < kLeastOfSix / 2 && !best.is_exact; ++n) {
    const auto multiple = static_cast<float>(n);
    const float error = square_error<kInputs>(x, multiple / greatest, greatest / multiple);
    if (error >= least_error) continue;
    least_error = error;
    best = {multiple, error <= kNothing * greatest * greatest};
  }
  return best;
}

/// Returns the scale.
template <int kInputs>
TANDEM_INLINE float take_six_bits(const float* x, float greatest, SixBits best, std::int8_t* out) {
  const float inverse = greatest == 0 ? 0.0F : best.multiple / greatest;
#pragma omp simd
  for (int i = 0; i < kInputs; ++i) out[i] = static_cast<std::int8_t>(six_bits_of(x[i], inverse));
  return greatest / best.multiple;
}

template <int kInputs>
TANDEM_INLINE float round_to_six_bits(const float* x, std::int8_t* out) {
  const float greatest = greatest_of<kInputs>(x);
  return take_six_bits<kInputs>(x, greatest, best_six_bits<kInputs>(x, greatest), out);
}

/// What six bits keep as it is stays so in eight. A few inputs show of most blocks that they do not.
TANDEM_INLINE void round_to_eight_bits(const float* x, OutputBlock& out) {
  constexpr int kFewInputs = 8;
  const float greatest = greatest_of<kBlockInputs>(x);
  SixBits best = best_six_bits<kFewInputs>(x, greatest);
  if (best.is_exact) best = best_six_bits<kBlockInputs>(x, greatest);
  if (best.is_exact) {
    out.scale = out.second_scale = take_six_bits<kBlockInputs>(x, greatest, best, out.values.data());
    return;
  }
  InputBlock rounded;
  round_block(x, rounded);
  out = {.values = rounded.values, .scale = rounded.scale, .second_scale = rounded.scale};
}

TANDEM_INLINE void round_to_six_bits(const float* x, OutputBlock& out) {
  out.scale = out.second_scale = round_to_six_bits<kBlockInputs>(x, out.values.data());
}

TANDEM_INLINE void round_to_six_bits_by_halves(const float* x, OutputBlock& out) {
  out.scale = round_to_six_bits<kHalfInputs>(x, out.values.data());
  out.second_scale = round_to_six_bits<kHalfInputs>(x + kHalfInputs, out.values.data() + kHalfInputs);
}

TANDEM_INLINE void round_output_block(const float* x, WeightForm form, OutputBlock& out) {
  switch (form) {
    case WeightForm::kSix:
      return round_to_six_bits(x, out);
    case WeightForm::kSixHalves:
      return round_to_six_bits_by_halves(x, out);
    case WeightForm::kEight:
      return round_to_eight_bits(x, out);
  }
}

TANDEM_CLONES void round_output(const float* x, WeightForm form, OutputBlock* out, std::int64_t n) {
  for (std::int64_t i = 0; i < n / kBlockInputs; ++i) round_output_block(x + kBlockInputs * i, form, out[i]);
}

/// Among those of its panel.
void place(const OutputBlock& output, WeightForm form, int i, WeightBlock& out) {
  const auto at = static_cast<std::size_t>(i);
  for (std::size_t k = 0; k < kBlockInputs; ++k)
    out.values[k / 4][at][k % 4] = static_cast<std::uint8_t>(output.values[k] + zero_of(form));
  out.scales[at] = output.scale;
}

BlockKernel find_kernel(WeightForm form) {
  for (const BlockKernel& kernel : block_kernels())
    if (kernel.form == form) return kernel;
  return {"plain", form, {multiply_plainly, multiply_plainly, multiply_plainly, multiply_plainly}};
}

/// Products of an output's weights with inputs, from..to of a block.
std::int32_t sum_products(const WeightBlock& weights, WeightForm form, std::size_t output,
                          const InputBlock& inputs, std::size_t from, std::size_t to) {
  std::int32_t sum = 0;
  for (std::size_t k = from; k < to; ++k)
    sum += (weights.values[k / 4][output][k % 4] - zero_of(form)) * inputs.values[k];
  return sum;
}

/// As the CPU's instructions do it: the last product is not rounded before it is added.
float add_scaled(std::int32_t products, float weight_scale, float input_scale, float sum) {
  return std::fma(static_cast<float>(products) * weight_scale, input_scale, sum);
}

/// The block's products with one output, added to those before.
float add_block(const BlockTile& tile, int block, const InputBlock& inputs, std::size_t output, float sum) {
  const WeightBlock& weights = tile.weights.blocks[block];
  const auto products = [&](std::size_t from, std::size_t to) {
    return sum_products(weights, tile.form, output, inputs, from, to);
  };
  if (tile.form != WeightForm::kSixHalves)
    return add_scaled(products(0, kBlockInputs), weights.scales[output], inputs.scale, sum);
  const float* second_scales = tile.weights.second_scales + std::ptrdiff_t{kPanelOutputs} * block;
  sum = add_scaled(products(0, kHalfInputs), weights.scales[output], inputs.scale, sum);
  return add_scaled(products(kHalfInputs, kBlockInputs), second_scales[output], inputs.scale, sum);
}

}  // namespace

TANDEM_CLONES void round_row(const float* x, InputBlock* out, std::int64_t n) {
  for (std::int64_t i = 0; i < n / kBlockInputs; ++i) round_block(x + kBlockInputs * i, out[i]);
}

void round_panel(const float* rows, WeightForm form, const NewPanel& out, std::int64_t n_in) {
  std::vector<OutputBlock> blocks(static_cast<std::size_t>(n_in / kBlockInputs));
  for (int i = 0; i < kPanelOutputs; ++i) {
    round_output(rows + n_in * i, form, blocks.data(), n_in);
    for (std::size_t block = 0; block < blocks.size(); ++block) {
      place(blocks[block], form, i, out.blocks[block]);
      if (form == WeightForm::kSixHalves)
        out.second_scales[kPanelOutputs * block + static_cast<std::size_t>(i)] = blocks[block].second_scale;
    }
  }
}

void multiply_plainly(const BlockTile& tile) {
  for (int row = 0; row < tile.n_rows; ++row) {
    const InputBlock* inputs = tile.inputs + std::ptrdiff_t{row} * tile.n_blocks;
    for (std::size_t i = 0; i < kPanelOutputs; ++i) {
      float sum = 0;
      for (int block = 0; block < tile.n_blocks; ++block) sum = add_block(tile, block, inputs[block], i, sum);
      tile.out[tile.out_row * static_cast<std::size_t>(row) + i] = sum;
    }
  }
}

bool has_block_products() {
  return !block_kernels().empty();
}

WeightForm fastest_form() {
  return has_block_products() ? block_kernels().front().form : WeightForm::kEight;
}

void multiply(const BlockTile& tile) {
  static const std::array<BlockKernel, 3> kKernels = {
      find_kernel(WeightForm::kSix), find_kernel(WeightForm::kSixHalves), find_kernel(WeightForm::kEight)};
  kKernels.at(static_cast<std::size_t>(tile.form)).multiply(tile);
}

}  // namespace tandem
