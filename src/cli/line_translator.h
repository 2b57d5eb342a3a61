// One line after the other, each a sentence, in one target language or in several at once: a session per
// language, all fed the same words at the same time, at a speaker's pace if one is asked for.
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
  Counters cost;       // of this line
  double seconds = 0;  // of computing
};

class LineTranslator {
 public:
  using Clock = std::chrono::steady_clock;

  /// `options`: its target language is replaced by each of `languages`. `word_interval` 0: all words of a
  /// line are there at once. The engine must have room for as many sessions.
  LineTranslator(Engine& engine, const SessionOptions& options, std::span<const std::string> languages,
                 Clock::duration word_interval);

  /// One result per language, or nothing after an interrupt. `line` is valid UTF-8. Words are as
  /// text/utf8.h splits them; a line without a word gives empty texts.
  std::optional<std::vector<LineResult>> translate(std::string_view line, const LineObserver& observer);

 private:
  struct Target {
    SessionOptions options;
    std::optional<Session> session;
    std::size_t n_pushed = 0;
    bool is_done = false;
    LineResult result;
  };

  void begin_line();
  /// Whether there is more to do at once.
  bool advance(std::size_t index, std::span<const std::string_view> words, std::size_t n_arrived,
               const LineObserver& observer);
  void push(Target& target, std::span<const std::string_view> words, std::size_t n_arrived);
  void take(Target& target, Event event);
  void fail(Target& target, std::string reason);

  Engine& engine_;
  std::vector<Target> targets_;
  Clock::duration word_interval_;
  Clock::time_point next_word_;
};

}  // namespace tandem
