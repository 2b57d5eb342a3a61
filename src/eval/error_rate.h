// Word and character error rate: edits of the best alignment over the length of the reference.
//
// Over a set, edits and lengths are summed before the division, so a long sentence weighs more than a short
// one. The rate can pass 1. Only the number of edits is given: how it splits into substitutions, deletions
// and insertions depends on which of several best alignments is taken.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace tandem {

enum class Normalisation {
  kNone,        // runs of white space are one space, none at the ends
  kSpokenText,  // also lower case, and punctuation removed with nothing in its place ("don't" is "dont")
};

struct Edits {
  std::int64_t edits = 0;
  std::int64_t length = 0;  // of the reference

  double rate() const;  // 0 for no edits in nothing; throws kInvalidArgument for edits in nothing
  Edits& operator+=(const Edits& other);
};

struct ErrorCounts {
  Edits words;
  Edits characters;  // spaces included
};

/// Cost O(|hypothesis| * |reference|) in characters.
ErrorCounts count_errors(std::string_view hypothesis, std::string_view reference,
                         Normalisation normalisation);

/// Sums over the set. Throws kInvalidArgument if there is no line, or not the same number of both.
ErrorCounts corpus_errors(std::span<const std::string> hypotheses, std::span<const std::string> references,
                          Normalisation normalisation);

}  // namespace tandem
