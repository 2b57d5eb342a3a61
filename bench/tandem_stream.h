// Tandem as a contestant: an engine's session that writes what the model says, or a session over a network
// that dictates (dictation.h).
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "bench/contest.h"
#include "bench/dictation.h"
#include "bench/stream_setup.h"
#include "engine/session_core.h"
#include "tandem/engine.h"

namespace tandem::bench {

/// One READ and what was written after it.
struct Step {
  int n_words = 0;  // read by then
  int n_tokens = 0;
};

enum class Arrival { kAtOnce, kWordByWord };

/// What all contestants translate.
struct Text {
  std::span<const Words> lines;
  std::span<const std::vector<TokenId>> targets =
      {};  // dictated, one for each line; none: the model speaks for itself
};

class TandemStream {
 public:
  /// All must outlive it. `network` has room for a session of `n_slots`.
  TandemStream(Engine& engine, const StreamSetup& setup, DictatingNetwork& network, int n_slots)
      : engine_(engine), setup_(setup), network_(network), n_slots_(n_slots) {}

  Sample run(const SessionOptions& options, const Text& text, Arrival arrival = Arrival::kAtOnce);

  /// What was written after each READ of each line.
  std::vector<std::vector<Step>> steps(const SessionOptions& options, const Text& text);

 private:
  using LineEvents = std::vector<Event>;

  std::vector<LineEvents> translate(const SessionOptions& options, const Text& text, Arrival arrival,
                                    Sample& sample);
  template <typename AnySession>
  std::vector<LineEvents> translate_with(AnySession& session, const Text& text, Arrival arrival,
                                         Sample& sample);
  std::unique_ptr<SessionCore> open_dictated(const SessionOptions& options);
  /// By what passes cost here, as an engine decides it for one session.
  bool forks_pay();

  Engine& engine_;
  const StreamSetup& setup_;
  DictatingNetwork& network_;
  int n_slots_;
  std::optional<bool> forks_pay_;
};

}  // namespace tandem::bench
