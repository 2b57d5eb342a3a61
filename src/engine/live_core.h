// One live session between its owner's threads and the compute thread: a queue of pushes in front, a queue of
// events behind, and what became of it. The streaming session itself belongs to the compute thread alone.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "engine/session_core.h"
#include "tandem/service.h"

namespace tandem {

class LiveCore : public std::enable_shared_from_this<LiveCore> {
 public:
  /// `on_input`: tells the compute thread to look at this session. Called without a lock held.
  using OnInput = std::function<void(std::shared_ptr<LiveCore>)>;

  LiveCore(std::unique_ptr<SessionCore> session, LiveOptions options, OnInput on_input);

  // ---- for any thread
  Push push_text(std::string_view text);
  Push push_word(std::string_view word, Last last = Last::kNo);
  void end_sentence();
  void finish();
  void cancel();
  std::vector<Event> poll();
  bool wait_for(std::chrono::milliseconds at_most) const;
  LiveState state() const;
  std::string error() const;
  Counters counters() const;

  // ---- for the compute thread
  SessionCore& session() { return *session_; }
  const std::optional<std::chrono::steady_clock::time_point>& deadline() const { return options_.deadline; }
  /// Hands queued pushes on.
  enum class Fed { kReady, kRests, kCancelled, kOver };
  Fed feed();
  /// Hands the session's events on. False: nobody polls, the session rests until somebody does.
  bool deliver();
  /// The end, of whatever kind; the first one stays. Frees the session's part of the cache.
  void end(LiveState state, std::string error = {});

  bool is_listed = false;  // among those that the compute thread works for

 private:
  struct Input {
    enum class Kind { kText, kWord, kSentenceEnd, kFinish } kind;
    std::string text;
    Last last = Last::kNo;
  };
  Push queue(Input input);
  void hand_on(const Input& input);

  const LiveOptions options_;
  const OnInput on_input_;
  std::unique_ptr<SessionCore> session_;  // null once over
  std::vector<Input> fed_;                // of feed(); kept for its memory

  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::deque<Input> inputs_;
  std::vector<Event> events_;
  Counters counters_;
  LiveState state_ = LiveState::kLive;
  std::string error_;
  bool is_closed_ = false;     // no more pushes
  bool is_cancelled_ = false;  // by its owner; the compute thread has not seen it yet
};

}  // namespace tandem
