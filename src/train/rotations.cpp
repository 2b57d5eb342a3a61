#include "train/rotations.h"

#include <ATen/Functions.h>

#include <algorithm>
#include <cmath>

#include "stream/types.h"

namespace tandem {

std::vector<double> rope_frequencies(std::int64_t n_dims, double base, double scale) {
  std::vector<double> frequencies;
  for (std::int64_t i = 0; i < n_dims / 2; ++i) {
    frequencies.push_back(scale *
                          std::pow(base, -2.0 * static_cast<double>(i) / static_cast<double>(n_dims)));
  }
  return frequencies;
}

Rotations rotations_of(std::span<const std::int32_t> doubled_positions,
                       const std::vector<double>& frequencies, double magnitude) {
  const auto half = static_cast<std::int64_t>(frequencies.size());
  const auto n_rows = static_cast<std::int64_t>(doubled_positions.size());
  std::int32_t highest = 0;
  for (const std::int32_t position : doubled_positions) highest = std::max(highest, position);
  std::vector<float> table(static_cast<std::size_t>((highest + 1) * half * 2));
  std::vector<bool> known(static_cast<std::size_t>(highest + 1), false);
  Rotations out{at::empty({n_rows, half}, at::kFloat), at::empty({n_rows, half}, at::kFloat)};
  for (std::int64_t row = 0; row < n_rows; ++row) {
    const std::int32_t position = doubled_positions[static_cast<std::size_t>(row)];
    float* entry = &table[static_cast<std::size_t>(position * half * 2)];
    if (!known[static_cast<std::size_t>(position)]) {
      for (std::int64_t i = 0; i < half; ++i) {
        const double angle =
            Position::from_doubled(position).value() * frequencies[static_cast<std::size_t>(i)];
        entry[i] = static_cast<float>(magnitude * std::cos(angle));
        entry[half + i] = static_cast<float>(magnitude * std::sin(angle));
      }
      known[static_cast<std::size_t>(position)] = true;
    }
    std::copy_n(entry, half, out.cosine.data_ptr<float>() + row * half);
    std::copy_n(entry + half, half, out.sine.data_ptr<float>() + row * half);
  }
  return out;
}

}  // namespace tandem
