#include "engine/live_core.h"

#include <fmt/format.h>

#include <iterator>
#include <utility>

#include "text/utf8.h"

namespace tandem {

namespace {

constexpr std::size_t kMostFed = 256;  // words in a session's own queue

}  // namespace

LiveCore::LiveCore(std::unique_ptr<SessionCore> session, LiveOptions options, OnInput on_input)
    : options_(std::move(options)), on_input_(std::move(on_input)), session_(std::move(session)) {}

// ---- any thread
// -------------------------------------------------------------------------------------------------

Push LiveCore::queue(Input input) {
  {
    const std::lock_guard lock(mutex_);
    if (is_closed_) return Push::kClosed;
    const bool is_bounded = input.kind == Input::Kind::kText || input.kind == Input::Kind::kWord;
    if (is_bounded && inputs_.size() >= options_.most_words) return Push::kFull;
    is_closed_ = input.kind == Input::Kind::kFinish;
    inputs_.push_back(std::move(input));
  }
  on_input_(shared_from_this());
  return Push::kAccepted;
}

Push LiveCore::push_text(std::string_view text) {
  return queue({.kind = Input::Kind::kText, .text = std::string(text)});
}

Push LiveCore::push_word(std::string_view word, Last last) {
  if (const auto offset = find_invalid_utf8(word)) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("push_word: expected UTF-8, got a bad byte at {}", *offset));
  }
  return queue({.kind = Input::Kind::kWord, .text = std::string(word), .last = last});
}

void LiveCore::end_sentence() {
  (void)queue({.kind = Input::Kind::kSentenceEnd, .text = {}});
}

void LiveCore::finish() {
  (void)queue({.kind = Input::Kind::kFinish, .text = {}});
}

void LiveCore::cancel() {
  {
    const std::lock_guard lock(mutex_);
    is_cancelled_ = true;
    is_closed_ = true;
  }
  on_input_(shared_from_this());
}

std::vector<Event> LiveCore::poll() {
  std::vector<Event> events;
  bool has_rested = false;
  {
    const std::lock_guard lock(mutex_);
    has_rested = events_.size() >= options_.most_events;
    events.swap(events_);
  }
  if (has_rested) on_input_(shared_from_this());
  return events;
}

bool LiveCore::wait_for(std::chrono::milliseconds at_most) const {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, at_most, [this] { return !events_.empty() || state_ != LiveState::kLive; });
  return !events_.empty() || state_ == LiveState::kLive;
}

LiveState LiveCore::state() const {
  const std::lock_guard lock(mutex_);
  return state_;
}

std::string LiveCore::error() const {
  const std::lock_guard lock(mutex_);
  return error_;
}

Counters LiveCore::counters() const {
  const std::lock_guard lock(mutex_);
  return counters_;
}

// ---- the compute thread
// -------------------------------------------------------------------------------------------------

LiveCore::Fed LiveCore::feed() {
  fed_.clear();
  Fed result = Fed::kReady;
  {
    const std::lock_guard lock(mutex_);
    if (state_ != LiveState::kLive) return Fed::kOver;
    if (is_cancelled_) return Fed::kCancelled;
    if (events_.size() >= options_.most_events) result = Fed::kRests;
    // No more than the session will soon read: what waits here is what the bound in front counts.
    while (!inputs_.empty() && session_->n_queued_words() + fed_.size() < kMostFed) {
      fed_.push_back(std::move(inputs_.front()));
      inputs_.pop_front();
    }
  }
  for (const Input& input : fed_) hand_on(input);
  return result;
}

void LiveCore::hand_on(const Input& input) {
  switch (input.kind) {
    case Input::Kind::kText:
      (void)session_->push_text(input.text);
      break;
    case Input::Kind::kWord:
      (void)session_->push_word(input.text, input.last);
      break;
    case Input::Kind::kSentenceEnd:
      session_->end_sentence();
      break;
    case Input::Kind::kFinish:
      session_->finish();
      break;
  }
}

bool LiveCore::deliver() {
  std::vector<Event> events = session_->poll();
  bool has_room = true;
  {
    const std::lock_guard lock(mutex_);
    counters_ = session_->counters();
    if (events.empty()) return true;
    events_.insert(events_.end(), std::make_move_iterator(events.begin()),
                   std::make_move_iterator(events.end()));
    has_room = events_.size() < options_.most_events;
  }
  changed_.notify_all();
  if (options_.on_change) options_.on_change();
  return has_room;
}

void LiveCore::end(LiveState state, std::string error) {
  {
    const std::lock_guard lock(mutex_);
    if (state_ != LiveState::kLive) return;
    state_ = state;
    error_ = std::move(error);
    is_closed_ = true;
    inputs_.clear();
  }
  session_.reset();
  changed_.notify_all();
  if (options_.on_change) options_.on_change();
}

}  // namespace tandem
