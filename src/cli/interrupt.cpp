#include "cli/interrupt.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <string_view>

#include "tandem/error.h"

namespace tandem {
namespace {

using namespace std::chrono_literals;

constexpr auto kPollInterval = 20ms;
constexpr std::string_view kShowCursor = "\x1b[?25h";

std::atomic<bool> interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler may only touch lock-free atomics");

void on_interrupt(int signal) {
  if (!interrupted.exchange(true)) return;
  if (::isatty(STDOUT_FILENO) == 1) {
    [[maybe_unused]] const ssize_t n = ::write(STDOUT_FILENO, kShowCursor.data(), kShowCursor.size());
  }
  ::_exit(128 + signal);
}

}  // namespace

void catch_interrupts() {
  struct sigaction action = {};
  action.sa_handler = on_interrupt;  // without SA_RESTART: a waiting read comes back
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  sigset_t asked;
  sigemptyset(&asked);
  sigaddset(&asked, SIGINT);
  sigaddset(&asked, SIGTERM);
  sigprocmask(SIG_UNBLOCK, &asked, nullptr);
}

bool is_interrupted() {
  return interrupted.load();
}

void stop_if_interrupted() {
  if (is_interrupted()) throw Error(ErrorCode::kIo, "stopped before it was done");
}

void sleep_until(std::chrono::steady_clock::time_point time) {
  while (!is_interrupted()) {
    const auto left = time - std::chrono::steady_clock::now();
    if (left <= 0ns) return;
    std::this_thread::sleep_for(std::min<std::chrono::nanoseconds>(left, kPollInterval));
  }
}

StopOnInterrupt::StopOnInterrupt()
    : watcher_([this](const std::stop_token& end) {
        while (!end.stop_requested() && !is_interrupted()) std::this_thread::sleep_for(kPollInterval);
        if (is_interrupted()) source_.request_stop();
      }) {}

}  // namespace tandem
