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
    // The scale's own rounding moves the greatest by up to 127 / 2^11 of a step, and of these by less.
    EXPECT_NEAR(value_of(block, i % kBlockInputs), x[i], 0.54F * block.scale) << i;
  }
  for (const InputBlock& block : blocks) {
    int sum = 0, most = 0;
    for (const int value : block.values) sum += value, most = std::max(most, std::abs(value));
    EXPECT_EQ(most, 127);
    EXPECT_EQ(block.offset, -128 * sum);
  }
}

TEST(RoundedRows, OffsetsOfHalvesAreOfPairsOfEachFour) {
  for (const InputBlock& block : rounded(random_values(std::size_t{40} * kBlockInputs, 11))) {
    std::array<std::array<int, 2>, 2> sums = {};
    for (std::size_t i = 0; i < kBlockInputs; ++i) sums.at(i / 16).at(i % 4 / 2) += block.values.at(i);
    for (std::size_t half = 0; half < 2; ++half)
      for (std::size_t pair = 0; pair < 2; ++pair)
        EXPECT_EQ(block.half_offsets.at(half).at(pair), -32 * sums.at(half).at(pair));
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
  WeightForm form;
  std::vector<InputBlock> inputs;
  std::vector<WeightBlock> weights;
  std::vector<float> second_scales;

  float scale(std::size_t output, std::size_t input) const {
    const std::size_t block = input / kBlockInputs;
    const bool is_second = form == WeightForm::kSixHalves && input % kBlockInputs >= kBlockInputs / 2;
    return is_second ? second_scales[kPanelOutputs * block + output] : weights[block].scales[output];
  }

  /// [n_rows, kPanelOutputs], found with so much room between rows, which must stay as it was.
  std::vector<float> with(Multiply run, int n_rows) const {
    constexpr std::size_t kGap = 5;
    constexpr float kUntouched = 77.0F;
    constexpr std::size_t kOutRow = kPanelOutputs + kGap;
    std::vector<float> found(kOutRow * static_cast<std::size_t>(n_rows), kUntouched);
    run({.weights = {.blocks = weights.data(), .second_scales = second_scales.data()},
         .form = form,
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
Product product(int n_blocks, WeightForm form, const std::vector<float>& rows,
                const std::vector<float>& panel) {
  Product result{.n_blocks = n_blocks,
                 .form = form,
                 .inputs = rounded(rows),
                 .weights = std::vector<WeightBlock>(static_cast<std::size_t>(n_blocks)),
                 .second_scales = std::vector<float>(static_cast<std::size_t>(n_blocks) * kPanelOutputs)};
  round_panel(panel.data(), form,
              {.blocks = result.weights.data(), .second_scales = result.second_scales.data()},
              std::int64_t{n_blocks} * kBlockInputs);
  return result;
}

/// An output's weight as it is stored.
float weight_of(const Product& p, std::size_t output, std::size_t i) {
  const WeightBlock& block = p.weights[i / kBlockInputs];
  const std::size_t at = i % kBlockInputs;
  return static_cast<float>(block.values[at / 4][output][at % 4] - zero_of(p.form)) * p.scale(output, i);
}

constexpr WeightForm kForms[] = {WeightForm::kSix, WeightForm::kSixHalves, WeightForm::kEight};

std::string name_of(WeightForm form) {
  constexpr const char* kNames[] = {"SixBits", "SixBitsByHalves", "EightBits"};
  return kNames[static_cast<std::size_t>(form)];
}

struct BlocksAndForm {
  int n_blocks;
  WeightForm form;
};

class BlockProducts : public ::testing::TestWithParam<BlocksAndForm> {
 protected:
  std::size_t n_in() const { return static_cast<std::size_t>(GetParam().n_blocks) * kBlockInputs; }

  std::vector<float> rows_ = random_values(kTileRows * n_in(), 4);
  std::vector<float> panel_ = random_values(kPanelOutputs * n_in(), 5);
  Product product_ = product(GetParam().n_blocks, GetParam().form, rows_, panel_);
};

/// Six bits go to -32 and to 31 only, so a weight as great as the greatest, with the other sign, loses more.
TEST_P(BlockProducts, WeightsLoseHalfAStepAtMost) {
  const auto zero = static_cast<float>(zero_of(GetParam().form));
  for (std::size_t out = 0; out < kPanelOutputs; ++out) {
    for (std::size_t i = 0; i < n_in(); ++i) {
      const float step = product_.scale(out, i);
      const float weight = panel_[out * n_in() + i];
      const float steps = weight / step > zero - 1 ? 1.07F : 0.57F;
      EXPECT_NEAR(weight_of(product_, out, i), weight, steps * std::abs(step))
          << fmt::format("output {}, input {}", out, i);
    }
  }
}

TEST_P(BlockProducts, AreSumsOfProducts) {
  const std::vector<float> got = product_.with(multiply_plainly, kTileRows);
  for (std::size_t row = 0; row < kTileRows; ++row) {
    for (std::size_t out = 0; out < kPanelOutputs; ++out) {
      double expected = 0;
      for (std::size_t i = 0; i < n_in(); ++i) {
        const InputBlock& block = product_.inputs[(row * n_in() + i) / kBlockInputs];
        expected += static_cast<double>(value_of(block, i % kBlockInputs)) *
                    static_cast<double>(weight_of(product_, out, i));
      }
      EXPECT_NEAR(got[row * kPanelOutputs + out], expected, 1e-6 * static_cast<double>(n_in()))
          << fmt::format("row {}, output {}", row, out);
    }
  }
}

TEST_P(BlockProducts, AreTheSameToTheBitWithAllOfTheCpusInstructions) {
  if (!has_block_products()) GTEST_SKIP() << "this CPU has none";
  for (const BlockKernel& kernel : block_kernels()) {
    if (kernel.form != GetParam().form) continue;
    for (int n_rows = 1; n_rows <= kTileRows; ++n_rows) {
      EXPECT_EQ(product_.with(kernel.by_rows.at(static_cast<std::size_t>(n_rows) - 1), n_rows),
                product_.with(multiply_plainly, n_rows))
          << fmt::format("{}, {} rows", kernel.name, n_rows);
    }
  }
}

std::vector<BlocksAndForm> sizes() {
  std::vector<BlocksAndForm> all;
  for (const WeightForm form : kForms)
    for (const int n_blocks : {1, 2, 3, 20, 64}) all.push_back({n_blocks, form});
  return all;
}

INSTANTIATE_TEST_SUITE_P(Blocks, BlockProducts, ::testing::ValuesIn(sizes()), [](const auto& test) {
  return fmt::format("{}Of{}", test.param.n_blocks, name_of(test.param.form));
});

// ---- at the edge ------------------------------------------------------------------------------------------

class BlockProductsAtTheEdge : public ::testing::TestWithParam<WeightForm> {
 protected:
  /// Of tiles of kTileRows rows.
  static std::vector<Multiply> all_ways() {
    std::vector<Multiply> ways{multiply_plainly, multiply};
    for (const BlockKernel& kernel : block_kernels())
      if (kernel.form == GetParam()) ways.push_back(kernel.by_rows.back());
    return ways;
  }
};

TEST_P(BlockProductsAtTheEdge, TheGreatestOfAllFit) {
  const float most = GetParam() == WeightForm::kEight ? 127.0F : 31.0F;
  const float least = GetParam() == WeightForm::kEight ? -127.0F : -32.0F;
  struct Ends {
    float others, last;  // of an output's weights
  };
  for (const Ends& ends : {Ends{most, least}, Ends{most, most}, Ends{least, least}}) {
    std::vector<float> panel;
    for (int i = 0; i < kPanelOutputs * kBlockInputs; ++i)
      panel.push_back(i % kBlockInputs == kBlockInputs - 1 ? ends.last : ends.others);
    for (const float input : {127.0F, -127.0F}) {
      const std::vector<float> rows(std::size_t{kTileRows} * kBlockInputs, input);
      const Product p = product(1, GetParam(), rows, panel);
      for (const Multiply run : all_ways())
        for (const float got : p.with(run, kTileRows))
          EXPECT_EQ(got, input * (ends.others * (kBlockInputs - 1) + ends.last));
    }
  }
}

TEST_P(BlockProductsAtTheEdge, WeightsOfZeroAreZero) {
  const std::vector<float> panel(std::size_t{kPanelOutputs} * kBlockInputs, 0.0F);
  const Product p = product(1, GetParam(), random_values(std::size_t{kTileRows} * kBlockInputs, 8), panel);
  for (const Multiply run : all_ways())
    for (const float got : p.with(run, kTileRows)) EXPECT_EQ(got, 0.0F);
}

TEST(EightBitWeights, AreRoundedAsRowsAre) {
  constexpr int kBlocks = 3;
  constexpr std::size_t kInputs = std::size_t{kBlocks} * kBlockInputs;
  const std::vector<float> panel = random_values(kPanelOutputs * kInputs, 9);
  const Product p = product(kBlocks, WeightForm::kEight, random_values(kTileRows * kInputs, 10), panel);
  const std::vector<InputBlock> as_rows = rounded(panel);
  for (std::size_t i = 0; i < panel.size(); ++i)
    EXPECT_EQ(weight_of(p, i / kInputs, i % kInputs), value_of(as_rows[i / kBlockInputs], i % kBlockInputs));
}

/// As ggml's types with a scale and no offset have them: integers of which one is the least.
TEST(SixBitWeights, OfFewerBitsStayWhatTheyAre) {
  for (const int least : {-8, -16}) {
    for (const float scale : {0.25F, -0.25F}) {
      std::vector<float> panel;
      for (int i = 0; i < kPanelOutputs * kBlockInputs; ++i)
        panel.push_back(scale * static_cast<float>(i % 32 == 5 ? least : (i * 7) % (-2 * least) + least));
      const Product p = product(1, WeightForm::kSix, std::vector<float>(kTileRows * kBlockInputs, 1), panel);
      for (std::size_t i = 0; i < panel.size(); ++i)
        EXPECT_EQ(weight_of(p, i / kBlockInputs, i % kBlockInputs), panel[i]);
    }
  }
}

/// As q6_K has them: integers of which the greatest may be any, times a scale of each half's own.
TEST(SixBitWeights, ByHalvesMultiplesOfOneNumberStayWhatTheyAre) {
  for (const int greatest : {-32, -31, 31, 27, -20, 17, 16, 11, -3, 1, 0}) {
    std::vector<float> panel;
    for (int i = 0; i < kPanelOutputs * kBlockInputs; ++i) {
      const float scale = i % kBlockInputs < kBlockInputs / 2 ? 0.013F : -0.7F;
      const int size = std::abs(greatest), value = i % 16 == 5 ? greatest : (i * 7) % (size + 1) - size / 2;
      panel.push_back(scale * static_cast<float>(value));
    }
    const std::vector<float> rows(std::size_t{kTileRows} * kBlockInputs, 1);
    const Product p = product(1, WeightForm::kSixHalves, rows, panel);
    for (std::size_t i = 0; i < panel.size(); ++i) {
      const float was = panel[i];
      EXPECT_NEAR(weight_of(p, i / kBlockInputs, i % kBlockInputs), was, 1e-6F * std::abs(was)) << greatest;
    }
  }
}

/// Sixteen numbers with a scale of their own lose less than thirty-two with one.
TEST(SixBitWeights, ByHalvesLoseLess) {
  const std::vector<float> panel = random_values(std::size_t{kPanelOutputs} * kBlockInputs * 20, 12);
  const std::vector<float> rows(std::size_t{kTileRows} * kBlockInputs * 20, 1);
  const auto square_error = [&](WeightForm form) {
    const Product p = product(20, form, rows, panel);
    double sum = 0;
    for (std::size_t i = 0; i < panel.size(); ++i) {
      const auto error =
          static_cast<double>(weight_of(p, i / (kBlockInputs * 20), i % (kBlockInputs * 20)) - panel[i]);
      sum += error * error;
    }
    return sum;
  };
  EXPECT_LT(square_error(WeightForm::kSixHalves), 0.8 * square_error(WeightForm::kSix));
}

TEST_P(BlockProductsAtTheEdge, WhatIsNotFiniteStaysInItsRow) {
  constexpr int kBlocks = 2;
  const std::vector<float> panel = random_values(std::size_t{kPanelOutputs} * kBlockInputs * kBlocks, 6);
  for (const float edge : {kInfinity, -kInfinity, kNan, -kNan}) {
    std::vector<float> rows = random_values(std::size_t{kTileRows} * kBlockInputs * kBlocks, 7);
    const Product before = product(kBlocks, GetParam(), rows, panel);
    constexpr std::size_t kRow = 1;
    rows[kRow * kBlockInputs * kBlocks + 40] = edge;
    const Product after = product(kBlocks, GetParam(), rows, panel);
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

INSTANTIATE_TEST_SUITE_P(Forms, BlockProductsAtTheEdge, ::testing::ValuesIn(kForms),
                         [](const auto& test) { return name_of(test.param); });

}  // namespace
}  // namespace tandem
