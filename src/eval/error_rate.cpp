#include "eval/error_rate.h"

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <vector>

#include "eval/check_pairs.h"
#include "eval/unicode.h"
#include "tandem/error.h"

namespace tandem {
namespace {

// Levenshtein distance, one row of the table at a time.
template <class Sequence>
std::int64_t distance(const Sequence& from, const Sequence& to) {
  std::vector<std::int64_t> row(to.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (std::size_t i = 0; i < from.size(); ++i) {
    std::int64_t diagonal = row[0];
    row[0] = static_cast<std::int64_t>(i) + 1;
    for (std::size_t j = 0; j < to.size(); ++j) {
      const std::int64_t replaced = diagonal + (from[i] == to[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

std::vector<std::u32string> normalised_words(std::string_view text, Normalisation normalisation) {
  std::u32string letters = decode_utf8(text);
  if (normalisation == Normalisation::kSpokenText) {
    letters = to_lower(letters);
    std::erase_if(letters, is_punctuation);
  }
  return split_words(letters);
}

std::u32string join(std::span<const std::u32string> words) {
  std::u32string line;
  for (const std::u32string& word : words) {
    if (!line.empty()) line.push_back(U' ');
    line += word;
  }
  return line;
}

}  // namespace

double Edits::rate() const {
  if (edits == 0) return 0;
  if (length == 0)
    throw Error(ErrorCode::kInvalidArgument, "error rate: expected a reference, got an empty one");
  return static_cast<double>(edits) / static_cast<double>(length);
}

Edits& Edits::operator+=(const Edits& other) {
  edits += other.edits;
  length += other.length;
  return *this;
}

ErrorCounts count_errors(std::string_view hypothesis, std::string_view reference,
                         Normalisation normalisation) {
  const std::vector<std::u32string> said = normalised_words(hypothesis, normalisation);
  const std::vector<std::u32string> expected = normalised_words(reference, normalisation);
  const std::u32string said_line = join(said);
  const std::u32string expected_line = join(expected);
  return {.words = {distance(said, expected), std::ssize(expected)},
          .characters = {distance(said_line, expected_line), std::ssize(expected_line)}};
}

ErrorCounts corpus_errors(std::span<const std::string> hypotheses, std::span<const std::string> references,
                          Normalisation normalisation) {
  check_pairs("error rate", hypotheses.size(), references.size());
  ErrorCounts sum;
  for (std::size_t i = 0; i < hypotheses.size(); ++i) {
    const ErrorCounts counts = count_errors(hypotheses[i], references[i], normalisation);
    sum.words += counts.words;
    sum.characters += counts.characters;
  }
  return sum;
}

}  // namespace tandem
