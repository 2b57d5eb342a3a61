#include "engine/service_core.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace tandem {

namespace {

constexpr int kPassesPerPriority = 8;
constexpr int kMostPriority = 1000;

}  // namespace

// ---- WorkQueue
// -------------------------------------------------------------------------------------------------

std::shared_ptr<LiveCore> WorkQueue::open(const SessionOptions& session, LiveOptions live) {
  Opening opening{.session = session, .live = std::move(live), .answer = {}};
  auto answer = opening.answer.get_future();
  {
    const std::lock_guard lock(mutex_);
    if (has_ended_) throw Error(ErrorCode::kUnsupported, "session: expected a running service, it has ended");
    work_.openings.push_back(std::move(opening));
  }
  changed_.notify_one();
  return answer.get();
}

void WorkQueue::wake(std::shared_ptr<LiveCore> session) {
  {
    const std::lock_guard lock(mutex_);
    if (has_ended_) return;
    work_.woken.push_back(std::move(session));
  }
  changed_.notify_one();
}

void WorkQueue::end() {
  {
    const std::lock_guard lock(mutex_);
    has_ended_ = true;
  }
  changed_.notify_one();
}

bool WorkQueue::take(Work& work, std::optional<Clock::time_point> until) {
  std::unique_lock lock(mutex_);
  const auto has_work = [this] { return has_ended_ || !work_.openings.empty() || !work_.woken.empty(); };
  if (until)
    changed_.wait_until(lock, *until, has_work);
  else
    changed_.wait(lock, has_work);
  work_.openings.swap(work.openings);
  work_.woken.swap(work.woken);
  return !has_ended_;
}

// ---- ServiceCore
// -------------------------------------------------------------------------------------------------

ServiceCore::ServiceCore(OpenSession open, SharedPass& pass)
    : open_(std::move(open)),
      pass_(pass),
      queue_(std::make_shared<WorkQueue>()),
      thread_([this] { run(); }) {}

ServiceCore::~ServiceCore() {
  queue_->end();
  thread_.join();
}

std::shared_ptr<LiveCore> ServiceCore::open(const SessionOptions& session, LiveOptions live) {
  if (std::abs(live.priority) > kMostPriority) {
    throw Error(ErrorCode::kInvalidArgument, fmt::format("session: priority: expected {} to {}, got {}",
                                                         -kMostPriority, kMostPriority, live.priority));
  }
  return queue_->open(session, std::move(live));
}

// ---- the compute thread
// -------------------------------------------------------------------------------------------------

void ServiceCore::run() {
  while (queue_->take(work_, next_turn())) {
    for (WorkQueue::Opening& opening : work_.openings) open(opening);
    work_.openings.clear();
    list_woken();
    expire();
    feed_listed();
    step();
  }
  end_all();
}

/// At once while there is something to compute, else at the next deadline, if there is one.
std::optional<WorkQueue::Clock::time_point> ServiceCore::next_turn() const {
  if (!listed_.empty()) return WorkQueue::Clock::time_point{};
  if (!deadlines_.empty()) return deadlines_.top().time;
  return std::nullopt;
}

void ServiceCore::open(WorkQueue::Opening& opening) {
  try {
    auto session = open_(opening.session);
    session->set_head_start(kPassesPerPriority * opening.live.priority);
    const auto on_input = [queue = queue_](std::shared_ptr<LiveCore> woken) {
      queue->wake(std::move(woken));
    };
    auto live = std::make_shared<LiveCore>(std::move(session), std::move(opening.live), on_input);
    live_.insert(live);
    if (live->deadline()) deadlines_.push({*live->deadline(), live});
    opening.answer.set_value(std::move(live));
  } catch (...) {
    opening.answer.set_exception(std::current_exception());
  }
}

void ServiceCore::list_woken() {
  for (auto& session : work_.woken) {
    if (!std::exchange(session->is_listed, true)) listed_.push_back(std::move(session));
  }
  work_.woken.clear();
}

void ServiceCore::expire() {
  while (!deadlines_.empty() && deadlines_.top().time <= WorkQueue::Clock::now()) {
    const auto session = deadlines_.top().session.lock();
    deadlines_.pop();
    if (session) end(session, LiveState::kExpired);
  }
}

void ServiceCore::feed_listed() {
  most_looked_at_ = std::max(most_looked_at_.load(), listed_.size());
  std::erase_if(listed_, [this](const std::shared_ptr<LiveCore>& session) {
    const LiveCore::Fed fed = session->feed();
    if (fed == LiveCore::Fed::kCancelled) end(session, LiveState::kCancelled);
    session->is_listed = fed == LiveCore::Fed::kReady;
    return !session->is_listed;
  });
}

void ServiceCore::step() {
  stepped_.clear();
  for (const auto& session : listed_) stepped_.push_back(&session->session());
  if (stepped_.empty()) return;
  try {
    pass_.step(stepped_, progress_);
  } catch (const std::exception& error) {
    // Nobody knows which rows of the pass were written: all of its sessions end.
    for (const auto& session : listed_) end(session, LiveState::kBroken, error.what());
    listed_.clear();
    return;
  }
  settle(progress_);
}

void ServiceCore::settle(std::span<const Progress> progress) {
  std::size_t n_kept = 0;
  for (std::size_t i = 0; i < listed_.size(); ++i) {
    auto session = std::move(listed_[i]);
    const bool has_room = session->deliver();
    session->is_listed = has_room && progress[i] == Progress::kMore;
    if (progress[i] == Progress::kFinished) end(session, LiveState::kFinished);
    if (session->is_listed) listed_[n_kept++] = std::move(session);
  }
  listed_.resize(n_kept);
}

void ServiceCore::end(const std::shared_ptr<LiveCore>& session, LiveState state, const std::string& error) {
  session->end(state, error);
  live_.erase(session);
}

void ServiceCore::end_all() {
  listed_.clear();
  for (const auto& session : live_) session->end(LiveState::kCancelled);
  live_.clear();
  work_.woken.clear();
  for (WorkQueue::Opening& opening : work_.openings) {
    opening.answer.set_exception(
        std::make_exception_ptr(Error(ErrorCode::kUnsupported, "session: the service has ended")));
  }
}

}  // namespace tandem
