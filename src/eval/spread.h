// What repeated timings come to: percentiles of one run, median and range of several.
#pragma once

#include <optional>
#include <vector>

namespace tandem {

/// The smallest of `values` that at least `percent` of them do not exceed (nearest rank; 0 < percent <= 100).
/// Always one that was measured. Nothing if there are none.
std::optional<double> percentile(std::vector<double> values, double percent);

struct Spread {
  double median = 0;  // of an even number: between the two in the middle
  double least = 0;
  double most = 0;
};

/// Nothing if there are none.
std::optional<Spread> spread_of(std::vector<double> values);

}  // namespace tandem
