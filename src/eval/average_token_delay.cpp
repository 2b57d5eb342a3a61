#include "eval/average_token_delay.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace tandem {
namespace {

constexpr double kSpeechTokenMs = 300;

/// When the tokens of the source that have arrived end. Only the first `limit` are kept: no target token is
/// paired with a source token later than itself, so that what lies beyond changes nothing, however long a log
/// says the source is.
class SourceTokens {
 public:
  SourceTokens(double token_length, std::size_t limit) : token_length_(token_length), limit_(limit) {}

  /// A chunk of the source: whole tokens, and one shorter for what is left over.
  void append_chunk(double duration) {
    const double rest = std::fmod(duration, token_length_);
    const double n_whole = std::round((duration - rest) / token_length_);
    for (double i = 0; i < n_whole && ends_.size() <= limit_; ++i)
      ends_.push_back(ends_.back() + token_length_);
    if (rest > 0) ends_.push_back(ends_.back() + rest);
  }

  std::int64_t size() const { return std::ssize(ends_) - 1; }

  /// Token 0 is the beginning: it ends at 0.
  double end(std::int64_t token) const { return ends_[static_cast<std::size_t>(token)]; }

 private:
  double token_length_;
  std::size_t limit_;
  std::vector<double> ends_ = {0};
};

// Time of computing each unit: what its elapsed time gained on its delay since the unit before.
std::vector<double> compute_times(std::span<const double> delays, std::span<const double> elapsed) {
  std::vector<double> times(delays.size(), 0);
  if (std::all_of(elapsed.begin(), elapsed.end(), [](double time) { return time == 0; })) return times;
  double before = 0;
  for (std::size_t i = 0; i < delays.size(); ++i) {
    const double behind = elapsed[i] - delays[i];
    times[i] = behind - before;
    before = behind;
  }
  return times;
}

}  // namespace

double average_token_delay(std::span<const double> delays, std::span<const double> elapsed,
                           SourceKind source) {
  const double target_token_length = source == SourceKind::kText ? 1 : 0;
  const std::vector<double> computing = compute_times(delays, elapsed);
  SourceTokens tokens(source == SourceKind::kText ? 1 : kSpeechTokenMs, delays.size());

  double sum = 0;
  double target_end = 0;
  double chunk_delay = 0;
  std::int64_t target_before_chunk = 0;
  std::int64_t source_before_chunk = 0;
  for (std::size_t i = 0; i < delays.size(); ++i) {
    if (i == 0 || delays[i] != chunk_delay) {
      target_before_chunk = static_cast<std::int64_t>(i);
      source_before_chunk = tokens.size();
      tokens.append_chunk(delays[i] - chunk_delay);
      chunk_delay = delays[i];
    }
    const std::int64_t run_ahead = std::max<std::int64_t>(0, target_before_chunk - source_before_chunk);
    const std::int64_t paired = std::min(static_cast<std::int64_t>(i) + 1 - run_ahead, tokens.size());
    target_end = std::max(delays[i], target_end) + target_token_length + computing[i];
    sum += target_end - tokens.end(paired);
  }
  return sum / static_cast<double>(delays.size());
}

}  // namespace tandem
