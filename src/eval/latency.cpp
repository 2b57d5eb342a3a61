#include "eval/latency.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <numeric>

#include "eval/average_token_delay.h"
#include "eval/unicode.h"
#include "tandem/error.h"

namespace tandem {
namespace {

using Times = std::span<const double>;

// AL, with the target's length in units as a parameter: LAAL is AL with another one.
double average_lagging(Times delays, double source_length, double target_length) {
  if (delays.front() > source_length) return delays.front();
  const double source_per_unit = source_length / target_length;
  double sum = 0;
  std::size_t tau = 0;
  while (tau < delays.size()) {
    sum += delays[tau] - static_cast<double>(tau) * source_per_unit;
    if (delays[tau++] >= source_length) break;
  }
  return sum / static_cast<double>(tau);
}

double differentiable_average_lagging(Times delays, double source_length) {
  const auto n = static_cast<double>(delays.size());
  const double source_per_unit = source_length / n;
  double sum = 0;
  double last = 0;
  for (std::size_t i = 0; i < delays.size(); ++i) {
    last = i == 0 ? delays[0] : std::max(delays[i], last + source_per_unit);
    sum += last - static_cast<double>(i) * source_per_unit;
  }
  return sum / n;
}

void check_times(std::string_view what, Times times) {
  for (const double time : times) {
    if (std::isfinite(time) && time >= 0) continue;
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("latency: expected {} that are finite and not negative, got {}", what, time));
  }
}

void check(const LatencyInput& input) {
  check_times("delays", input.delays);
  check_times("elapsed times", input.elapsed);
  check_times("a source length", Times(&input.source_length, 1));
  if (!std::is_sorted(input.delays.begin(), input.delays.end())) {
    throw Error(ErrorCode::kInvalidArgument,
                "latency: expected delays that never go down, got one that does");
  }
  if (!input.elapsed.empty() && input.elapsed.size() != input.delays.size()) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("latency: expected {} elapsed times, one per delay, got {}", input.delays.size(),
                            input.elapsed.size()));
  }
}

bool can_be_measured(const LatencyInput& input) {
  return !input.delays.empty() && input.source_length > 0 && input.reference_length.value_or(1) > 0;
}

// Everything but ATD, on delays or on elapsed times.
Latency measure(const LatencyInput& input, Times times) {
  const double source_length = input.source_length;
  const auto n = static_cast<double>(times.size());
  const double target_length = input.reference_length ? static_cast<double>(*input.reference_length) : n;
  Latency latency;
  latency.al = average_lagging(times, source_length, target_length);
  latency.laal = average_lagging(times, source_length, std::max(n, target_length));
  latency.ap = std::accumulate(times.begin(), times.end(), 0.0) / (source_length * target_length);
  latency.dal = differentiable_average_lagging(times, source_length);
  latency.start_offset = times.front();
  latency.end_offset = times.back() - source_length;
  latency.num_chunks = n;
  latency.rtf = times.back() / source_length;
  return latency;
}

constexpr std::array kMetrics = {&Latency::al,         &Latency::laal,       &Latency::ap,
                                 &Latency::dal,        &Latency::atd,        &Latency::start_offset,
                                 &Latency::end_offset, &Latency::num_chunks, &Latency::rtf};
static_assert(sizeof(Latency) == kMetrics.size() * sizeof(double), "a metric is missing from the means");

}  // namespace

std::optional<Latency> latency_of(const LatencyInput& input) {
  check(input);
  if (!can_be_measured(input)) return std::nullopt;
  Latency latency = measure(input, input.delays);
  latency.atd = average_token_delay(input.delays, {}, input.source);
  return latency;
}

std::optional<Latency> computation_aware_latency_of(const LatencyInput& input) {
  check(input);
  if (!can_be_measured(input)) return std::nullopt;
  if (input.elapsed.empty()) {
    throw Error(
        ErrorCode::kInvalidArgument,
        fmt::format("latency: expected {} elapsed times, one per delay, got none", input.delays.size()));
  }
  Latency latency = measure(input, input.elapsed);
  latency.atd = average_token_delay(input.delays, input.elapsed, input.source);
  return latency;
}

std::optional<Latency> mean_latency(std::span<const std::optional<Latency>> instances) {
  Latency mean;
  double n_scored = 0;
  for (const std::optional<Latency>& instance : instances) {
    if (!instance) continue;
    for (const auto metric : kMetrics) mean.*metric += (*instance).*metric;
    ++n_scored;
  }
  if (n_scored == 0) return std::nullopt;
  for (const auto metric : kMetrics) mean.*metric /= n_scored;
  return mean;
}

std::int64_t reference_length(std::string_view reference, LatencyUnit unit) {
  if (unit == LatencyUnit::kWord) return std::count(reference.begin(), reference.end(), ' ') + 1;
  const std::u32string letters = decode_utf8(reference);
  return std::ssize(strip(letters));
}

}  // namespace tandem
