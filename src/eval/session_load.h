// A load on an engine: n live sessions, each fed one sentence after the other, served together in passes that
// they share, with the time of every committed word taken.
//
// Sessions are used as any program would use them (tandem/engine.h). Time comes from outside, so that a test
// decides how long a pass takes; words come from outside too: nothing here reads files or prints.
//
// All n sessions are live all the time: one that has its sentences done goes on with the next until the last
// one has, and everything that is committed by then counts. The rate is that of n sessions, with no tail in
// which only the slowest are left.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "tandem/engine.h"

namespace tandem {

struct LoadSentence {
  std::string place;               // where it stands, for messages: "talks.en:12"
  std::vector<std::string> words;  // at least one; valid UTF-8
};

/// Seconds since some beginning.
struct LoadClock {
  std::function<double()> now;
  std::function<void(double time)> wait_until;  // may come back early; needed for a pace only
};

/// A sentence that was translated, as its session committed it.
struct LoadTranslation {
  int session = 0;
  std::size_t sentence = 0;  // in SessionLoad::text
  std::string_view text;
};

struct SessionLoad {
  std::span<const LoadSentence> text;  // session i begins with sentence i; after the last comes the first
  SessionOptions session;
  int n_sessions = 1;   // the engine has room for them
  int n_sentences = 4;  // of each session, at least
  double seconds = 0;   // > 0: so long, instead of a number of sentences
  /// 0: the next word is always there, a sentence when the one before has ended. Otherwise words of every
  /// session arrive so many a second, without a break between sentences, those of session i by i/n of a
  /// word's time later.
  double pace = 0;
  LoadClock clock;
  std::stop_token stop;
  std::function<void(double fraction)> on_progress;                 // of the work done; may be empty
  std::function<void(const LoadTranslation& done)> on_translation;  // may be empty
};

/// Sums over all sessions.
struct LoadResult {
  std::int64_t n_sentences = 0;  // that ended
  std::int64_t n_words = 0;      // committed
  std::int64_t n_tokens = 0;     // of the target, ends among them
  std::int64_t n_passes = 0;     // over the weights: one that serves many sessions counts once
  std::int64_t n_rows = 0;
  double seconds = 0;
  /// Per committed word: from when its session could begin to work on it (the source words that had been
  /// read for it have arrived, and the target word or sentence before it is committed) until its commit was
  /// polled. A word arrives when the pace says so, not when the engine found time to take it.
  std::vector<double> commit_seconds;
  /// The same from the arrival of the source words alone: grows without end if the engine does not keep pace.
  std::vector<double> lag_seconds;
  std::int64_t bytes_per_session = 0;  // Session::memory_bytes, the most seen at a commit
};

/// Runs the load on sessions that it opens and closes. Nothing if `stop` asked for an end. Throws Error for a
/// sentence that cannot be translated, naming its place, and what Engine::open and Engine::step throw.
std::optional<LoadResult> run_load(Engine& engine, const SessionLoad& load);

}  // namespace tandem
