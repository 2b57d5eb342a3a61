// One training example, in tokens: a source, and the targets that it feeds. Prompt rows are not in it; the
// collator adds them (one template per run), draws k and the kind of suffix, and lays the rows out.
#pragma once

#include <vector>

#include "stream/types.h"

namespace tandem {

/// One target text: its tokens, and the word (or code point) that each belongs to (text/word_tracker.h).
struct TargetText {
  int language = 0;  // index into the run's target languages
  std::vector<TokenId> tokens;
  std::vector<int> word_of_token;
  int n_words = 0;
};

struct Example {
  int set = 0;  // which of the run's data sets it came from
  std::vector<TokenId> source_tokens;
  std::vector<int> source_word_rows;  // tokens of each source word; sums to source_tokens.size()
  std::vector<TargetText> targets;
};

}  // namespace tandem
