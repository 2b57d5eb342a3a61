// Numbers that deviate by 1, the same for the same seed.
#pragma once

#include <cstddef>
#include <random>
#include <vector>

namespace tandem::testing {

inline std::vector<float> random_values(std::size_t n, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> value;
  std::vector<float> values(n);
  for (float& v : values) v = value(random);
  return values;
}

}  // namespace tandem::testing
