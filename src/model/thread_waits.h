// How the CPU backend's threads wait for one another: turning, or asleep.
//
// ggml's threads meet behind each node of a graph, some hundred times in a pass. OpenMP as GCC has it
// (libgomp) lets them turn there for milliseconds before they sleep, which is fastest as long as each has a
// core. But where another program takes one thread's core, the others turn until it has one again: with one
// busy program beside, a pass takes a hundred times as long. libgomp makes threads sleep soon if it has more
// of them than there are cores; so, as long as other programs want the cores, it is given threads that do
// nothing.
#pragma once

#include <dirent.h>

#include <memory>
#include <optional>

namespace tandem {

/// How long the threads of this process have waited for a core.
class WaitedForCores {
 public:
  WaitedForCores();
  /// Of all that there are, together; nothing where the system does not say (Linux does). Cost: some
  /// microseconds a thread.
  std::optional<double> seconds();

 private:
  struct Close {
    void operator()(DIR* folder) const;
  };
  std::unique_ptr<DIR, Close> tasks_;
};

/// Whether other programs want the cores, by how long threads waited for one.
class CrowdMeter {
 public:
  /// In so many seconds of passes threads waited for so long, all together.
  void note(double pass_seconds, double waited_seconds);
  bool is_crowded() const { return is_crowded_; }

 private:
  bool is_crowded_ = false;
  double calm_seconds_ = 0;  // of passes, one after the other
};

/// As long as there is one, OpenMP's threads sleep soon. Cost: a thread more than there are cores, asleep.
class ShortWaits {
 public:
  ShortWaits();
  ShortWaits(const ShortWaits&) = delete;
  ShortWaits& operator=(const ShortWaits&) = delete;
  ~ShortWaits();

 private:
  struct Pool;
  std::unique_ptr<Pool> pool_;
};

/// Of one stream of passes.
class ThreadWaits {
 public:
  /// After each pass, which took so long. Looks at the threads after each twentieth of a second of passes.
  void note(double seconds);

 private:
  double seconds_ = 0;  // of passes since the last look
  WaitedForCores waited_for_cores_;
  std::optional<double> waited_;  // until the last look
  CrowdMeter crowd_;
  std::optional<ShortWaits> short_waits_;
};

}  // namespace tandem
