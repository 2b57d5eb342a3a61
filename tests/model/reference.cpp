#include "model/reference.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace tandem::testing {

std::vector<TokenId> to_tokens(std::span<const int> ids) {
  std::vector<TokenId> tokens;
  for (const int id : ids) tokens.push_back(TokenId{id});
  return tokens;
}

std::vector<float> libllama_logits(const std::string& path, std::span<const int> tokens) {
  return Yardstick(path).logits(to_tokens(tokens));
}

float distance(std::span<const float> a, std::span<const float> b) {
  EXPECT_EQ(a.size(), b.size());
  float largest = 0;
  for (std::size_t i = 0; i < a.size() && i < b.size(); ++i) {
    const float d = std::abs(a[i] - b[i]);
    if (!(d <= largest)) largest = d;
    if (std::isnan(d)) return std::numeric_limits<float>::quiet_NaN();
  }
  return largest;
}

float mean_distance(std::span<const float> a, std::span<const float> b) {
  EXPECT_EQ(a.size(), b.size());
  double sum = 0;
  for (std::size_t i = 0; i < a.size() && i < b.size(); ++i) sum += std::abs(double{a[i]} - b[i]);
  return static_cast<float>(sum / static_cast<double>(a.size()));
}

void expect_close(std::span<const float> got, std::span<const float> expected, float tolerance,
                  const std::string& what) {
  ASSERT_EQ(got.size(), expected.size()) << what;
  const float d = distance(got, expected);
  EXPECT_TRUE(d <= tolerance) << what << ": differs by " << d << ", allowed " << tolerance;
}

}  // namespace tandem::testing
