#include "eval/spread.h"

#include <gtest/gtest.h>

#include <numeric>

namespace tandem {
namespace {

TEST(Percentile, IsTheSmallestValueThatEnoughOthersDoNotExceed) {
  const std::vector<double> values = {40, 15, 50, 20, 35};
  EXPECT_EQ(percentile(values, 1), 15);
  EXPECT_EQ(percentile(values, 20), 15);
  EXPECT_EQ(percentile(values, 20.1), 20);
  EXPECT_EQ(percentile(values, 50), 35);
  EXPECT_EQ(percentile(values, 80), 40);
  EXPECT_EQ(percentile(values, 99), 50);
  EXPECT_EQ(percentile(values, 100), 50);
}

TEST(Percentile, OfAHundredIsTheNinetyNinth) {
  std::vector<double> values(100);
  std::iota(values.rbegin(), values.rend(), 1.0);
  EXPECT_EQ(percentile(values, 99), 99);
  EXPECT_EQ(percentile(values, 50), 50);
}

TEST(Percentile, OfNothingIsNothing) {
  EXPECT_EQ(percentile({}, 50), std::nullopt);
  EXPECT_EQ(percentile({7}, 1), 7);
}

TEST(Spread, HasTheMiddleAndTheEnds) {
  const auto odd = spread_of({9, 1, 4});
  ASSERT_TRUE(odd);
  EXPECT_EQ(odd->median, 4);
  EXPECT_EQ(odd->least, 1);
  EXPECT_EQ(odd->most, 9);
  EXPECT_EQ(spread_of({9, 1, 4, 6})->median, 5);
  EXPECT_FALSE(spread_of({}));
}

}  // namespace
}  // namespace tandem
