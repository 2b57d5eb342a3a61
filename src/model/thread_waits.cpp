#include "model/thread_waits.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <ggml-cpp.h>
#include <ggml-cpu.h>
#include <ggml.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <semaphore>
#include <thread>

namespace tandem {

namespace {

/// Of /proc/self/task/N/schedstat: nanoseconds with a core, nanoseconds waiting for one, turns.
std::int64_t nanoseconds_waited(int tasks, const char* thread) {
  std::array<char, 64> path{};
  fmt::format_to_n(path.data(), path.size() - 1, "{}/schedstat", thread);
  const int file = openat(tasks, path.data(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;  // it has ended
  std::array<char, 128> text{};
  const ssize_t n = read(file, text.data(), text.size());
  close(file);
  const char* end = text.data() + std::max<ssize_t>(n, 0);
  const char* number = std::find(static_cast<const char*>(text.data()), end, ' ');
  std::int64_t waited = 0;
  if (number != end) std::from_chars(number + 1, end, waited);
  return waited;
}

}  // namespace

std::optional<double> WaitedForCores::seconds() {
  if (!tasks_) return std::nullopt;
  std::int64_t nanoseconds = 0;
  rewinddir(tasks_.get());
  while (const dirent* task = readdir(tasks_.get())) {
    if (task->d_name[0] != '.') nanoseconds += nanoseconds_waited(dirfd(tasks_.get()), task->d_name);
  }
  if (nanoseconds == 0) return std::nullopt;
  return static_cast<double>(nanoseconds) * 1e-9;
}

void WaitedForCores::Close::operator()(DIR* folder) const {
  closedir(folder);
}

WaitedForCores::WaitedForCores() : tasks_(opendir("/proc/self/task")) {}

void CrowdMeter::note(double pass_seconds, double waited_seconds) {
  constexpr double kCrowded =
      0.25;  // of the time; two threads with their cores wait a hundredth of it, seldom
             // a tenth, and nine tenths where another program has one of two cores
  constexpr double kCalmSeconds = 2.0;  // programs come and go
  if (waited_seconds > kCrowded * pass_seconds) {
    is_crowded_ = true;
    calm_seconds_ = 0;
  } else if (calm_seconds_ += pass_seconds; calm_seconds_ >= kCalmSeconds) {
    is_crowded_ = false;
  }
}

/// A thread that has made libgomp start threads, which are its own until it ends.
struct ShortWaits::Pool {
  std::binary_semaphore is_over{0};
  std::thread owner;
};

namespace {

void leave_as_it_is(ggml_tensor*, int, int, void*) {}

/// So that each thread that there can be takes part in a graph.
void start_threads() {
  constexpr std::size_t kNodes = 1;
  const int n_threads = static_cast<int>(std::thread::hardware_concurrency()) + 1;
  const ggml_context_ptr context(
      ggml_init({(kNodes + 1) * ggml_tensor_overhead() + ggml_graph_overhead_custom(kNodes, false) +
                     std::size_t{1024} * static_cast<std::size_t>(n_threads),
                 nullptr, false}));
  if (!context) return;
  ggml_cgraph* graph = ggml_new_graph_custom(context.get(), kNodes, false);
  ggml_build_forward_expand(graph, ggml_custom_4d(context.get(), GGML_TYPE_F32, 1, 1, 1, 1, nullptr, 0,
                                                  leave_as_it_is, GGML_N_TASKS_MAX, nullptr));
  (void)ggml_graph_compute_with_ctx(context.get(), graph, n_threads);
}

}  // namespace

ShortWaits::ShortWaits() : pool_(std::make_unique<Pool>()) {
  std::binary_semaphore has_started{0};
  pool_->owner = std::thread([this, &has_started] {
    start_threads();
    has_started.release();
    pool_->is_over.acquire();
  });
  has_started.acquire();
}

ShortWaits::~ShortWaits() {
  pool_->is_over.release();
  pool_->owner.join();
}

void ThreadWaits::note(double seconds) {
  constexpr double kLookSeconds = 0.05;
  seconds_ += seconds;
  if (seconds_ < kLookSeconds) return;
  const auto waited = waited_for_cores_.seconds();
  if (waited && waited_) crowd_.note(seconds_, *waited - *waited_);
  seconds_ = 0;
  waited_ = waited;
  if (crowd_.is_crowded() == short_waits_.has_value()) return;
  crowd_.is_crowded() ? (void)short_waits_.emplace() : short_waits_.reset();
}

}  // namespace tandem
