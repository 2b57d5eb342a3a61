// A model held against a test set: every line translated by a session with its whole source pushed first,
// then scored for quality, latency and cost.
//
// The session is the one that users get (tandem/engine.h): delays are its READs, passes are its counters.
// Only the clock is not a session's business, so that the source's pace costs no time here.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "eval/instance_log.h"
#include "eval/latency.h"
#include "eval/tokenize.h"
#include "tandem/engine.h"

namespace tandem {

/// How a target language is scored: by words, or by characters where it is written without spaces.
struct LanguageScoring {
  Tokenizer tokenizer = Tokenizer::k13a;
  LatencyUnit unit = LatencyUnit::kWord;
};

LanguageScoring scoring_of(std::string_view target_language);

/// A line that was translated, or was not.
struct Translation {
  std::string text;                  // empty if it failed
  std::vector<double> delays;        // source words read, one per word of `text` (or per character)
  std::optional<std::string> error;  // why it failed
};

/// Delays of the units of a text that was committed in parts: a unit counts when its last byte is there.
/// `commits` are the committed texts in order, each with the delay at which it was committed. Units are what
/// SimulEval counts: runs without white space, or code points that are none.
std::vector<double> unit_delays(std::span<const Event> commits, LatencyUnit unit);

struct EvaluationTask {
  std::span<const std::string> sources;     // lines, valid UTF-8
  std::span<const std::string> references;  // as many
  SessionOptions session;                   // k and target language among them
  int n_sessions = 1;  // lines under way at a time, in passes that they share; the engine has room for them
  std::stop_token stop;
  std::function<void(std::size_t n_done)> on_line;  // after each line; may be empty
};

struct LineFailure {
  std::size_t line = 0;  // from 0
  std::string reason;
};

/// What one k came to. Lines that failed count as empty translations, and in no latency.
struct Evaluation {
  int k = 0;  // kUnlimited: inf
  std::int64_t sentences = 0;
  double bleu = 0;                 // 0 to 100
  std::optional<Latency> latency;  // mean; none if nothing was written
  double length_ratio = 0;         // translation / reference, in the tokens that BLEU counts
  double passes_per_token = 0;     // passes with a row of a line, over all lines / (text tokens + ends)
  std::int64_t rows_twice = 0;
  double words_per_second = 0;  // of the target, of all sessions together, by the wall clock

  std::vector<Instance> instances;
  std::vector<LineFailure> failures;
};

/// Runs all lines through `n_sessions` sessions, opened once. Nothing if `stop` asked for an end.
/// Throws Error{kInvalidArgument} for unequal numbers of lines, and what Engine::open throws.
std::optional<Evaluation> evaluate(Engine& engine, const EvaluationTask& task);

/// Writes instances.log, scores.tsv and config.yaml, as SimulEval does, into `folder`, which is made if it is
/// not there. Throws Error{kIo}.
void write_evaluation(const std::filesystem::path& folder, const Evaluation& evaluation);

}  // namespace tandem
