// How far long work has come, with its rate and the time left, on standard error if that is a terminal;
// silent otherwise.
#pragma once

#include <chrono>
#include <functional>
#include <string>

namespace tandem {

class ProgressBar {
 public:
  /// `unit`: what is counted ("lines"); empty for a bare fraction.
  ProgressBar(std::string label, double total, std::string unit);
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;
  /// Removes the bar: what it said is over.
  ~ProgressBar();

  void show(double done);

 private:
  std::string label_;
  double total_;
  std::string unit_;
  bool is_shown_ = false;
  const bool is_terminal_;
  std::chrono::steady_clock::time_point start_;
  std::chrono::steady_clock::time_point last_shown_{};
};

/// For work that tells its fraction as it goes and has nothing to show before its end: shows that on the bar,
/// which outlives it, and throws Error{kIo} after Ctrl-C.
std::function<void(double)> show_or_stop(ProgressBar& bar);

}  // namespace tandem
