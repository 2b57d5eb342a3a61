#include "cli/progress_bar.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "cli/interrupt.h"
#include "cli/text_layout.h"

namespace tandem {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr auto kFrameTime = 100ms;
constexpr int kBarColumns = 24;

std::string clock_time(double seconds) {
  const auto whole = std::llround(seconds);
  return whole >= 3600 ? fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60)
                       : fmt::format("{}:{:02}", whole / 60, whole % 60);
}

}  // namespace

ProgressBar::ProgressBar(std::string label, double total, std::string unit)
    : label_(std::move(label)),
      total_(total),
      unit_(std::move(unit)),
      is_terminal_(can_show_live(STDERR_FILENO)),
      start_(Clock::now()) {}

ProgressBar::~ProgressBar() {
  if (is_shown_) fmt::print(stderr, "\r\x1b[K");
}

void ProgressBar::show(double done) {
  const Clock::time_point now = Clock::now();
  if (!is_terminal_ || now - last_shown_ < kFrameTime) return;
  last_shown_ = now;
  is_shown_ = true;
  const double seconds = std::chrono::duration<double>(now - start_).count();
  const double fraction = total_ > 0 ? std::clamp(done / total_, 0.0, 1.0) : 0.0;
  const int n_full = static_cast<int>(fraction * kBarColumns);
  std::string line = fmt::format("{}  {:█<{}}{:░<{}} {:3.0f}%", label_, "", n_full, "", kBarColumns - n_full,
                                 100 * fraction);
  if (!unit_.empty() && seconds > 0) {
    line += fmt::format("  {:.0f}/{:.0f} {}, {:.1f}/s", done, total_, unit_, done / seconds);
  }
  if (fraction > 0) line += fmt::format("  {} left", clock_time(seconds * (1 - fraction) / fraction));
  fmt::print(stderr, "\r{}\x1b[K", line);
  std::fflush(stderr);
}

std::function<void(double)> show_or_stop(ProgressBar& bar) {
  return [&bar](double fraction) {
    stop_if_interrupted();
    bar.show(fraction);
  };
}

}  // namespace tandem
