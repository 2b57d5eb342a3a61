// One line after the other, each a sentence, in one target language or in several at once: one session, which
// reads the source once for all of them, at a speaker's pace if one is asked for.
//
// What happens is handed on as it happens (LineObserver): the live view, the event log and the plain output
// are all observers of this one loop. A line that fails costs nobody else anything.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tandem/engine.h"

namespace tandem {

struct LineObserver {
  std::function<void(std::string_view word)> on_word;                    // a source word has arrived
  std::function<void(std::size_t target, const Event& event)> on_event;  // in the order of the session
  std::function<void()> on_wait;                                         // nothing to do until the next word
};

/// A line in one target language.
struct LineResult {
  std::string text;                  // no space in front; empty if it failed
  std::optional<std::string> error;  // why it failed
  std::vector<Event> commits;
};

/// A line in all of them, and what it cost.
struct LineOutcome {
  std::vector<LineResult> targets;  // one for each language
  Counters cost;
  double seconds = 0;  // of computing
};

class LineTranslator {
 public:
  using Clock = std::chrono::steady_clock;

  /// The engine must have room for a session. `word_interval` 0: all words of a line are there at once.
  LineTranslator(Engine& engine, const SessionOptions& options, Clock::duration word_interval);

  /// Nothing after an interrupt. `line` is valid UTF-8. Words are as text/utf8.h splits them; a line without
  /// a word gives empty texts.
  std::optional<LineOutcome> translate(std::string_view line, const LineObserver& observer);

 private:
  /// Whether there is more to do at once.
  bool advance(std::span<const std::string_view> words, std::size_t n_arrived, const LineObserver& observer);
  void push(std::span<const std::string_view> words, std::size_t n_arrived);
  void take(Event event);
  void end_line();
  void fail(std::size_t target, std::string reason);
  bool is_done() const;

  Engine& engine_;
  SessionOptions options_;
  std::optional<Session> session_;
  LineOutcome line_;
  std::vector<bool> has_ended_;  // of each target, in this line
  std::size_t n_pushed_ = 0;     // words of this line
  Clock::duration word_interval_;
  Clock::time_point next_word_;
};

}  // namespace tandem
