// The compute thread of a service: opens sessions, feeds them, runs their shared passes, hands their events
// on.
//
// Only sessions with something to do are on its list. A session comes onto it when its owner pushes, polls a
// full queue empty, or cancels, and leaves it when it needs input, rests or is over; the others are not
// looked at.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <queue>
#include <thread>
#include <unordered_set>
#include <vector>

#include "engine/live_core.h"
#include "engine/shared_pass.h"

namespace tandem {

/// What other threads have for the compute thread. Sessions keep it, and may outlive the service.
class WorkQueue {
 public:
  struct Opening {
    SessionOptions session;
    LiveOptions live;
    std::promise<std::shared_ptr<LiveCore>> answer;
  };
  struct Work {
    std::vector<Opening> openings;
    std::vector<std::shared_ptr<LiveCore>> woken;
  };

  /// Throws Error{kUnsupported} when the service has ended.
  std::shared_ptr<LiveCore> open(const SessionOptions& session, LiveOptions live);
  /// The compute thread should look at this session. Nothing, when the service has ended.
  void wake(std::shared_ptr<LiveCore> session);
  void end();

  using Clock = std::chrono::steady_clock;
  /// Takes all there is into `work`, which must be empty; waits until there is something, or until the time
  /// given. False: the service ends.
  bool take(Work& work, std::optional<Clock::time_point> until);

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  Work work_;
  bool has_ended_ = false;
};

class ServiceCore {
 public:
  /// Called on the compute thread.
  using OpenSession = std::function<std::unique_ptr<SessionCore>(const SessionOptions&)>;

  /// `pass` and what `open` refers to outlive the service.
  ServiceCore(OpenSession open, SharedPass& pass);
  ServiceCore(const ServiceCore&) = delete;
  ServiceCore& operator=(const ServiceCore&) = delete;
  ~ServiceCore();

  /// Throws what opening throws, and Error{kInvalidArgument} for a priority beyond +-1000.
  std::shared_ptr<LiveCore> open(const SessionOptions& session, LiveOptions live);

  /// Most sessions that one turn of the compute thread has looked at since the service began, for tests.
  std::size_t most_looked_at() const { return most_looked_at_; }

 private:
  struct Deadline {
    WorkQueue::Clock::time_point time;
    std::weak_ptr<LiveCore> session;
    bool operator>(const Deadline& other) const { return time > other.time; }
  };

  // On the compute thread.
  void run();
  void open(WorkQueue::Opening& opening);
  void list_woken();
  void feed_listed();
  void expire();
  void step();
  void settle(std::span<const Progress> progress);
  void end(const std::shared_ptr<LiveCore>& session, LiveState state, const std::string& error = {});
  void end_all();
  std::optional<WorkQueue::Clock::time_point> next_turn() const;

  OpenSession open_;
  SharedPass& pass_;
  std::shared_ptr<WorkQueue> queue_;
  std::atomic<std::size_t> most_looked_at_ = 0;

  // The compute thread's own.
  WorkQueue::Work work_;
  std::vector<std::shared_ptr<LiveCore>> listed_;
  std::unordered_set<std::shared_ptr<LiveCore>> live_;  // until they are over: a session ends on this thread
  std::priority_queue<Deadline, std::vector<Deadline>, std::greater<>> deadlines_;
  std::vector<SessionCore*> stepped_;
  std::vector<Progress> progress_;

  std::thread thread_;  // last: it uses all of the above
};

}  // namespace tandem
