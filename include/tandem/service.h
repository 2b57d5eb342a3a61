// Many live sessions, used from any thread, over one engine whose compute belongs to one thread.
//
//   tandem::Service service(tandem::Engine::load("models/default.gguf", {.max_sessions = 50}));
//   tandem::LiveSession session = service.open({.target_languages = {"de"}, .k = 3}, {});
//   session.push_text("A man is riding a bike ");    // from the thread that hears
//   while (session.wait_for(std::chrono::seconds(1)))  // in the thread that shows
//     for (const tandem::Event& event : session.poll()) ...
//
// Each session has a bounded queue on either side. A full one in front is the speaker's to notice
// (Push::kFull); a full one behind rests the session until somebody polls, and nobody else. Sessions that
// have nothing to do cost the compute thread nothing.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tandem/engine.h"

namespace tandem {

class ServiceCore;
class LiveCore;

struct LiveOptions {
  // A session of priority p stands in its turn as one that has waited 8 p passes longer (docs/passes.md): it
  // comes first when a pass has no room for all, and holds nobody up for more than 8 passes per step of
  // priority.
  int priority = 0;
  // A session that is not over by then ends as kExpired; what is committed stays.
  std::optional<std::chrono::steady_clock::time_point> deadline;
  std::size_t most_words = 4096;   // pushes that wait to be read
  std::size_t most_events = 8192;  // events that wait to be polled; a step more may come
  // Called by the compute thread when there is something new to poll, or the session is over. Must not wait,
  // and must not call the session or the service; waking another thread is what it is for.
  std::function<void()> on_change;
};

enum class LiveState {
  kLive,
  kFinished,   // finish() was called, and the last sentence has ended
  kCancelled,  // by its owner, or with the service
  kExpired,    // its deadline passed
  kBroken,     // a pass failed; error() says how
};

/// A session of a service. Every function may be called from any thread; none waits for a pass but
/// wait_for(). Destroying it cancels the session.
class LiveSession {
 public:
  LiveSession(LiveSession&&) noexcept;
  LiveSession& operator=(LiveSession&&) noexcept;
  ~LiveSession();

  // As Session's, but they only queue.
  [[nodiscard]] Push push_text(std::string_view text);
  [[nodiscard]] Push push_word(std::string_view word, Last last = Last::kNo);
  void end_sentence();
  void finish();
  void cancel();

  /// Events since the last poll, in order.
  std::vector<Event> poll();
  /// Waits until there is something to poll or the session is over, at most so long. False: over, and all was
  /// polled.
  bool wait_for(std::chrono::milliseconds at_most) const;

  LiveState state() const;
  /// Why it is broken; else empty.
  std::string error() const;
  /// As they were after the last pass.
  Counters counters() const;

 private:
  friend class Service;
  explicit LiveSession(std::shared_ptr<LiveCore> core);
  std::shared_ptr<LiveCore> core_;
};

class Service {
 public:
  /// Takes the engine over and starts the compute thread.
  explicit Service(Engine engine);
  Service(Service&&) noexcept;
  Service& operator=(Service&&) noexcept;
  /// Cancels every session and ends the thread, after the pass under way.
  ~Service();

  /// Throws as Engine::open(), and Error{kUnsupported} when the service has ended. Waits for the pass under
  /// way.
  LiveSession open(const SessionOptions& session, LiveOptions live);

  /// Bytes that a session takes from open() on, as Engine::session_bytes().
  std::int64_t session_bytes() const;

 private:
  std::unique_ptr<Engine> engine_;  // in one place: the core refers to it
  std::unique_ptr<ServiceCore> core_;
};

}  // namespace tandem
