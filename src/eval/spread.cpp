#include "eval/spread.h"

#include <algorithm>
#include <cmath>

#include "tandem/error.h"

namespace tandem {

std::optional<double> percentile(std::vector<double> values, double percent) {
  TANDEM_CHECK(percent > 0 && percent <= 100);
  if (values.empty()) return std::nullopt;
  const double rank = std::ceil(percent * static_cast<double>(values.size()) / 100);
  const auto at = values.begin() + static_cast<std::ptrdiff_t>(rank) - 1;
  std::nth_element(values.begin(), at, values.end());
  return *at;
}

std::optional<Spread> spread_of(std::vector<double> values) {
  if (values.empty()) return std::nullopt;
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  const double median = values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
  return Spread{.median = median, .least = values.front(), .most = values.back()};
}

}  // namespace tandem
