// Products in blocks: rounding against what it may lose, the CPU's instructions against plain loops, both
// against sums in double precision, and numbers at the edge.
#include "numeric/block_products.h"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "numeric/block_kernels.h"
#include "support/random_values.h"

namespace tandem {
namespace {

using testing::random_values;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

std::vector<InputBlock> rounded(const std::vector<float>& x) {
  std::vector<InputBlock> blocks(x.size() / kBlockInputs);
  round_row(x.data(), blocks.data(), static_cast<std::int64_t>(x.size()));
  return blocks;
}

float value_of(const InputBlock& block, std::size_t i) {
  return static_cast<float>(block.values[i]) * block.scale;
}

// ---- rounding ---------------------------------------------------------------------------------------------

TEST(RoundedRows, LoseHalfAStepAtMost) {
  const std::vector<float> x = random_values(std::size_t{40} * kBlockInputs, 1);
  const std::vector<InputBlock> blocks = rounded(x);
  for (std::size_t i = 0; i < x.size(); ++i) {
    const InputBlock& block = blocks[i / kBlockInputs];
    // The scale's own rounding moves the greatest by 127 / 2^12 of a step.
    EXPECT_NEAR(value_of(block, i % kBlockInputs), x[i], 0.54F * block.scale) << i;
  }
  for (const InputBlock& block : blocks) {
    int sum = 0, most = 0;
    for (const int value : block.values) sum += value, most = std::max(most, std::abs(value));
    EXPECT_EQ(most, 127);
    EXPECT_EQ(block.offset, -128 * sum);
  }
}

TEST(RoundedRows, StayWhatTheyAreWhenRoundedAgain) {
  std::vector<float> x = random_values(std::size_t{40} * kBlockInputs, 2);
  const std::vector<InputBlock> once = rounded(x);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = value_of(once[i / kBlockInputs], i % kBlockInputs);
  const std::vector<InputBlock> twice = rounded(x);
  for (std::size_t i = 0; i < once.size(); ++i) {
    EXPECT_EQ(twice[i].values, once[i].values);
    EXPECT_EQ(twice[i].scale, once[i].scale);
  }
}

TEST(RoundedRows, ScalesHaveElevenBits) {
  for (const InputBlock& block : rounded(random_values(std::size_t{40} * kBlockInputs, 3))) {
    int exponent = 0;
    const float fraction = std::frexp(block.scale, &exponent) * 0x1p11F;
    EXPECT_EQ(fraction, std::round(fraction));
  }
}

TEST(RoundedRows, AnyMagnitudeHasAScale) {
  for (const float magnitude : {1e-30F, 1e-10F, 1.0F, 1e10F, 3e38F}) {
    std::vector<float> x(kBlockInputs, 0.0F);
    x[3] = -magnitude;
    x[4] = magnitude / 127;
    const InputBlock block = rounded(x).front();
    EXPECT_EQ(block.values[3], -127);
    EXPECT_EQ(block.values[4], 1);
    EXPECT_NEAR(block.scale, magnitude / 127, magnitude / 127 / 2048) << magnitude;
  }
}

TEST(RoundedRows, ZerosAreZeros) {
  const InputBlock block = rounded(std::vector<float>(kBlockInputs, 0.0F)).front();
  for (std::size_t i = 0; i < kBlockInputs; ++i) EXPECT_EQ(value_of(block, i), 0.0F);
}

// ---- products ---------------------------------------------------------------------------------------------

using Multiply = BlockKernel::Multiply;

struct Product {
  int n_blocks;
  std::vector<InputBlock> inputs;
  std::vector<WeightBlock> weights;

  /// [n_rows, kPanelOutputs], found with so much room between rows, which must stay as it was.
  std::vector<float> with(Multiply run, int n_rows) const {
    constexpr std::size_t kGap = 5;
    constexpr float kUntouched = 77.0F;
    constexpr std::size_t kOutRow = kPanelOutputs + kGap;
    std::vector<float> found(kOutRow * static_cast<std::size_t>(n_rows), kUntouched);
    run({.weights = weights.data(),
         .inputs = inputs.data(),
         .n_blocks = n_blocks,
         .n_rows = n_rows,
         .out = found.data(),
         .out_row = kOutRow});
    std::vector<float> out;
    for (std::size_t i = 0; i < found.size(); ++i) {
      if (i % kOutRow < kPanelOutputs)
        out.push_back(found[i]);
      else
        EXPECT_EQ(found[i], kUntouched);
    }
    return out;
  }
};

/// Of kTileRows rows.
Product product(int n_blocks, const std::vector<float>& rows, const std::vector<float>& panel) {
  Product result{.n_blocks = n_blocks,
                 .inputs = rounded(rows),
                 .weights = std::vector<WeightBlock>(static_cast<std::size_t>(n_blocks))};
  round_panel(panel.data(), result.weights.data(), std::int64_t{n_blocks} * kBlockInputs);
  return result;
}

class BlockProducts : public ::testing::TestWithParam<int> {
 protected:
  std::size_t n_in() const { return static_cast<std::size_t>(GetParam()) * kBlockInputs; }

  std::vector<float> rows_ = random_values(kTileRows * n_in(), 4);
  std::vector<float> panel_ = random_values(kPanelOutputs * n_in(), 5);
};

TEST_P(BlockProducts, AreSumsOfProducts) {
  const Product p = product(GetParam(), rows_, panel_);
  const std::vector<float> got = p.with(multiply_plainly, kTileRows);
  const std::vector<InputBlock> weights = rounded(panel_);
  const auto n_blocks = static_cast<std::size_t>(GetParam());
  for (std::size_t row = 0; row < kTileRows; ++row) {
    for (std::size_t out = 0; out < kPanelOutputs; ++out) {
      double expected = 0;
      for (std::size_t i = 0; i < n_in(); ++i) {
        const std::size_t block = i / kBlockInputs, at = i % kBlockInputs;
        expected += static_cast<double>(value_of(p.inputs[row * n_blocks + block], at)) *
                    static_cast<double>(value_of(weights[out * n_blocks + block], at));
      }
      EXPECT_NEAR(got[row * kPanelOutputs + out], expected, 1e-6 * static_cast<double>(n_in()))
          << fmt::format("row {}, output {}", row, out);
    }
  }
}

TEST_P(BlockProducts, AreTheSameToTheBitWithAllOfTheCpusInstructions) {
  if (!has_block_products()) GTEST_SKIP() << "this CPU has none";
  const Product p = product(GetParam(), rows_, panel_);
  for (const BlockKernel& kernel : block_kernels()) {
    for (int n_rows = 1; n_rows <= kTileRows; ++n_rows) {
      EXPECT_EQ(p.with(kernel.by_rows.at(static_cast<std::size_t>(n_rows) - 1), n_rows),
                p.with(multiply_plainly, n_rows))
          << fmt::format("{}, {} rows", kernel.name, n_rows);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Blocks, BlockProducts, ::testing::Values(1, 2, 3, 20, 64),
                         [](const auto& test) { return std::to_string(test.param); });

/// Of tiles of kTileRows rows.
std::vector<Multiply> all_ways() {
  std::vector<Multiply> ways{multiply_plainly, multiply};
  for (const BlockKernel& kernel : block_kernels()) ways.push_back(kernel.by_rows.back());
  return ways;
}

TEST(BlockProductsAtTheEdge, TheGreatestOfAllFit) {
  const std::vector<float> rows(std::size_t{kTileRows} * kBlockInputs, 127.0F);
  for (const float sign : {1.0F, -1.0F}) {
    const std::vector<float> panel(std::size_t{kPanelOutputs} * kBlockInputs, sign * 127.0F);
    const Product p = product(1, rows, panel);
    for (const Multiply run : all_ways())
      for (const float got : p.with(run, kTileRows)) EXPECT_EQ(got, sign * 127.0F * 127.0F * kBlockInputs);
  }
}

TEST(BlockProductsAtTheEdge, WhatIsNotFiniteStaysInItsRow) {
  constexpr int kBlocks = 2;
  const std::vector<float> panel = random_values(std::size_t{kPanelOutputs} * kBlockInputs * kBlocks, 6);
  for (const float edge : {kInfinity, -kInfinity, kNan, -kNan}) {
    std::vector<float> rows = random_values(std::size_t{kTileRows} * kBlockInputs * kBlocks, 7);
    const Product before = product(kBlocks, rows, panel);
    constexpr std::size_t kRow = 1;
    rows[kRow * kBlockInputs * kBlocks + 40] = edge;
    const Product after = product(kBlocks, rows, panel);
    for (const Multiply run : all_ways()) {
      const std::vector<float> expected = before.with(run, kTileRows);
      const std::vector<float> got = after.with(run, kTileRows);
      for (std::size_t i = 0; i < got.size(); ++i) {
        if (i / kPanelOutputs == kRow)
          EXPECT_FALSE(std::isfinite(got[i])) << edge;
        else
          EXPECT_EQ(got[i], expected[i]);
      }
    }
  }
}

}  // namespace
}  // namespace tandem
