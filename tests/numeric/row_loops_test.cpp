// The vector loops against the same sums done one by one in double precision, for every length around a
// vector's and a block's.
#include "numeric/row_loops.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

namespace tandem {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

struct Row {
  std::vector<float> x;
  std::vector<std::uint8_t> classes;
};

Row random_row(std::size_t n) {
  std::mt19937 random(static_cast<unsigned>(n));
  std::normal_distribution<float> value(0.0F, 8.0F);
  std::uniform_int_distribution<int> label(0, kClasses - 1);
  Row row;
  for (std::size_t i = 0; i < n; ++i) {
    row.x.push_back(value(random));
    row.classes.push_back(static_cast<std::uint8_t>(label(random)));
  }
  return row;
}

class RowLoops : public ::testing::TestWithParam<std::size_t> {};

TEST_P(RowLoops, TheGreatestIsOneThatCounts) {
  Row row = random_row(GetParam());
  float expected = -kInfinity;
  for (std::size_t i = 0; i < row.x.size(); ++i)
    if (row.classes[i] != 0) expected = std::max(expected, row.x[i]);
  EXPECT_EQ(greatest(row.x, row.classes), expected);
}

TEST_P(RowLoops, ExponentialsAddUpByClass) {
  const Row row = random_row(GetParam());
  const float shift = 30.0F;
  ClassSums expected{0.0, 1.0, 2.0, 3.0};
  ClassSums sums = expected;
  for (std::size_t i = 0; i < row.x.size(); ++i) {
    if (row.classes[i] != 0)
      expected[row.classes[i]] += std::exp(static_cast<double>(row.x[i]) - static_cast<double>(shift));
  }
  add_exponentials(row.x, row.classes, shift, sums);
  for (std::size_t c = 0; c < kClasses; ++c)
    EXPECT_NEAR(sums[c], expected[c], 2e-6 * expected[c]) << "class " << c;
}

TEST_P(RowLoops, ANormalisedRowHasItsGainsSize) {
  const Row x = random_row(GetParam());
  const Row gain = random_row(GetParam() + 2);
  constexpr float kEpsilon = 0.5F;
  double squares = 0;
  for (const float value : x.x) squares += static_cast<double>(value) * static_cast<double>(value);
  const double rms = std::sqrt(squares / static_cast<double>(x.x.size()) + static_cast<double>(kEpsilon));
  std::vector<float> out = x.x;  // in place
  normalise_row(out.data(), gain.x.data(), kEpsilon, out.data(), static_cast<std::int64_t>(out.size()));
  for (std::size_t i = 0; i < out.size(); ++i) {
    const double expected = static_cast<double>(x.x[i]) / rms * static_cast<double>(gain.x[i]);
    EXPECT_NEAR(static_cast<double>(out[i]), expected, 1e-5 * std::abs(expected));
  }
}

TEST_P(RowLoops, WeightedRowsAddUp) {
  const std::size_t n = GetParam();
  for (std::size_t n_rows = 0; n_rows <= 9; ++n_rows) {
    const std::vector<float> rows = random_row(n_rows * n).x, weights = random_row(n_rows).x;
    std::vector<float> sums = random_row(n).x;
    std::vector<double> expected(sums.begin(), sums.end());
    for (std::size_t row = 0; row < n_rows; ++row)
      for (std::size_t i = 0; i < n; ++i)
        expected[i] += static_cast<double>(weights[row]) * static_cast<double>(rows[row * n + i]);
    add_weighted(rows.data(), weights.data(), static_cast<std::int64_t>(n_rows), sums.data(),
                 static_cast<std::int64_t>(n));
    for (std::size_t i = 0; i < n; ++i) EXPECT_NEAR(sums[i], expected[i], 1e-3) << n_rows << " rows, " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Lengths, RowLoops,
                         ::testing::Values(0U, 1U, 7U, 15U, 16U, 17U, 63U, 511U, 512U, 513U, 3000U),
                         [](const auto& test) { return std::to_string(test.param); });

class RowsInBlocks : public ::testing::TestWithParam<std::size_t> {
 protected:
  static constexpr float kEpsilon = 0.5F;

  /// Rounding to steps, and the scale's own to 11 bits.
  static void expect_rounded(const std::vector<InputBlock>& got, std::size_t i, double expected) {
    const InputBlock& block = got[i / kBlockInputs];
    const float value = static_cast<float>(block.values[i % kBlockInputs]) * block.scale;
    EXPECT_NEAR(value, expected, 0.55 * static_cast<double>(block.scale)) << i;
  }

  Row x_ = random_row(GetParam());
  Row y_ = random_row(GetParam() + 1);
  std::vector<InputBlock> out_{GetParam() / kBlockInputs};
};

TEST_P(RowsInBlocks, GatesAreTheActivationTimesTheOther) {
  for (const auto activation : {GateActivation::kSilu, GateActivation::kGelu}) {
    gate_row(activation, x_.x.data(), y_.x.data(), out_.data(), static_cast<std::int64_t>(GetParam()));
    for (std::size_t i = 0; i < GetParam(); ++i) {
      const double g = x_.x[i];
      const double inner =
          activation == GateActivation::kSilu ? g : 2 * std::sqrt(2 / M_PI) * (g + 0.044715 * g * g * g);
      expect_rounded(out_, i, g / (1 + std::exp(-inner)) * static_cast<double>(y_.x[i]));
    }
  }
}

TEST_P(RowsInBlocks, ANormalisedRowIsTheOneInFloats) {
  const auto n = static_cast<std::int64_t>(GetParam());
  std::vector<float> floats(GetParam());
  normalise_row(x_.x.data(), y_.x.data(), kEpsilon, floats.data(), n);
  normalise_row(x_.x.data(), y_.x.data(), kEpsilon, out_.data(), n);
  for (std::size_t i = 0; i < floats.size(); ++i) expect_rounded(out_, i, floats[i]);
}

INSTANTIATE_TEST_SUITE_P(Lengths, RowsInBlocks, ::testing::Values(0U, 32U, 64U, 96U, 640U, 3008U),
                         [](const auto& test) { return std::to_string(test.param); });

TEST(RowLoopsAtTheEdge, NothingThatCountsHasNoGreatest) {
  EXPECT_EQ(greatest({}, {}), -kInfinity);
  const std::vector<float> x(20, 3.0F);
  EXPECT_EQ(greatest(x, std::vector<std::uint8_t>(20, 0)), -kInfinity);
}

TEST(RowLoopsAtTheEdge, ANanIsNotTheGreatest) {
  std::vector<float> x(40, 1.0F);
  x[5] = std::numeric_limits<float>::quiet_NaN();
  x[30] = 2.0F;
  EXPECT_EQ(greatest(x, std::vector<std::uint8_t>(40, 1)), 2.0F);
}

TEST(RowLoopsAtTheEdge, FarBelowIsNothing) {
  ClassSums sums{};
  const std::vector<float> x = {0.0F, -500.0F, -kInfinity, -88.5F};
  add_exponentials(x, std::vector<std::uint8_t>{1, 2, 3, 3}, 0.0F, sums);
  EXPECT_NEAR(sums[1], 1.0, 1e-6);
  EXPECT_LT(sums[2], 1e-37);
  EXPECT_LT(sums[3], 1e-37);
}

}  // namespace
}  // namespace tandem
