// A model file with only those rows of its vocabulary that some texts need: embeddings and head keep the
// bytes of the rows that stay, the tokenizer keeps what it needs to give the texts the same tokens
// (text/vocabulary_cut.h). The result is a model like any other, smaller and faster where the vocabulary is
// most of it.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "text/word_counts.h"

namespace tandem {

struct TrimReport {
  std::size_t rows_before = 0;
  std::size_t rows_after = 0;
  std::size_t bytes_before = 0;
  std::size_t bytes_after = 0;
  std::size_t merges_before = 0;  // 0 where the tokenizer merges by score
  std::size_t merges_after = 0;
  std::vector<std::string> tensors;  // whose rows were gathered
  // The check, with the vocabulary of the file that was written:
  std::size_t n_words = 0;   // distinct words (WordCounts::size)
  std::size_t n_same = 0;    // of these, with the tokens that they had
  double share_of_text = 1;  // words of the texts, each as often as it occurs, with the tokens they had
  std::vector<std::string> different;  // a few of the others, the most frequent first
};

/// Writes `output`, which appears whole or not at all. `n_rows`: most rows that may remain; 0: all that the
/// words need. The ids that the rows had are stored as `tandem.vocab.original_ids`. `progress` gets fractions
/// from 0 to 1. Throws Error{kInvalidArgument} for no words or an `n_rows` that is too small (the message
/// says how many it takes), Error{kUnsupported} for an adapter, another family, or tokenizer keys that would
/// contradict the cut vocabulary, Error{kBadFile} for a bad input, Error{kIo}.
TrimReport trim_vocabulary(const std::string& input, const std::string& output, const WordCounts& words,
                           std::size_t n_rows, const std::function<void(double)>& progress = {});

}  // namespace tandem
