// How a streaming model describes itself: the `tandem.*` keys of its GGUF file (docs/model-files.md has the
// table).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "stream/types.h"
#include "stream/wait_k.h"
#include "text/prompt.h"

namespace tandem {

class GgufFile;

/// Which places of the source suffix the model was trained with.
enum class TrainedEndMarker {
  kAny,           // both of EndMarker, drawn in training
  kWithLastWord,  // only EndMarker::kWithLastWord
  kOwnUnit,       // only EndMarker::kOwnUnit
};

struct StreamMetadata {
  Position target_start;  // phi
  TrainedEndMarker end_marker = TrainedEndMarker::kAny;
  std::vector<WaitK> wait_k;  // the lags it was trained with
  PromptTemplate prompt;      // its target_prefix lists the target languages
  std::vector<std::string> source_languages;
  std::vector<TokenId> kept_ids;  // ids it was trained to write, ascending; empty: all
  int no_repeat_ngram = 0;        // n-grams to be written once at most in a target; 0: no such rule
  std::string training_summary;
  std::vector<std::string> data_licences;
};

/// Nothing for a stock file, which has none of the keys. Throws Error{kBadFile} for missing or contradictory
/// ones, Error{kUnsupported} for a later version or another paradigm.
std::optional<StreamMetadata> read_stream_metadata(const GgufFile& file, int n_vocab);

}  // namespace tandem
