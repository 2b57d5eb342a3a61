// SimulEval's output folder: instances.log (one JSON object per line), scores.tsv and config.yaml.
//
// Tandem writes what SimulEval's remote evaluation writes, key by key and in its order, so that `simuleval
// --score-only`, OmniSTEval and others' scripts read our folders, and ours read theirs. Two rules come from
// those readers: a key `reference_length` is never written (SimulEval stops at it), and no number that is not
// finite (it would not be JSON).
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "eval/latency.h"

namespace tandem {

/// One line of instances.log.
struct Instance {
  std::int64_t index = 0;
  std::string prediction;
  std::vector<double> delays;   // one per unit of the prediction: source words read, or ms of audio
  std::vector<double> elapsed;  // as many: 0 for text; for audio, ms of audio and wall time together
  std::optional<std::string>
      reference;  // of text as read, with its line break; none where there was no target file
  /// The words joined by spaces, or for audio its path and what the file says of itself.
  std::variant<std::string, std::vector<std::string>> source;
  double source_length = 0;  // words, or ms

  SourceKind source_kind() const {
    return std::holds_alternative<std::string>(source) ? SourceKind::kText : SourceKind::kSpeech;
  }
};

/// One line, without its line break. Counts of words are written as integers, milliseconds with a decimal
/// point. Throws kInvalidArgument for a number that is not finite, or unequal numbers of delays and elapsed
/// times.
std::string to_log_line(const Instance& instance);

/// Keys that are not listed above are passed over; `elapsed`, `reference`, `source` may be missing. `where`
/// ("out/instances.log:3") opens the message of the Error{kBadFile} that a bad line throws.
Instance from_log_line(std::string_view line, std::string_view where);

/// Throws kIo if the file cannot be written.
void write_instances_log(const std::filesystem::path& path, std::span<const Instance> instances);

/// Throws kNotFound without the file, kBadFile for a bad line or an index that stands twice. Empty lines are
/// passed over.
std::vector<Instance> read_instances_log(const std::filesystem::path& path);

struct NamedScore {
  std::string name;  // "BLEU", "LAAL", "LAAL_CA"
  double value = 0;
};

/// A row of names and one of values, tabs between, three decimals at most. Throws kInvalidArgument for a
/// value that is not finite, kIo if the file cannot be written.
void write_scores_tsv(const std::filesystem::path& path, std::span<const NamedScore> scores);

/// What `--score-only` needs to know. The target is always text here.
void write_config_yaml(const std::filesystem::path& path, SourceKind source);

}  // namespace tandem
