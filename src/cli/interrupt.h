// Ctrl-C (and SIGTERM) as a flag that long work looks at. The first one asks for a clean end; the second ends
// the program at once, with the terminal's cursor put back.
#pragma once

#include <chrono>
#include <stop_token>
#include <thread>

namespace tandem {

/// From now on signals set the flag, also those that whoever started us had blocked, and a write to a closed
/// pipe is an error instead of a signal.
void catch_interrupts();

bool is_interrupted();

/// For work that has nothing to show before its end. Throws Error{kIo}.
void stop_if_interrupted();

/// Sleeps until then, or until an interrupt.
void sleep_until(std::chrono::steady_clock::time_point time);

/// The flag as a stop_token, for work that knows nothing of signals. Works while this object lives.
class StopOnInterrupt {
 public:
  StopOnInterrupt();

  std::stop_token token() const { return source_.get_token(); }

 private:
  std::stop_source source_;
  std::jthread watcher_;
};

}  // namespace tandem
