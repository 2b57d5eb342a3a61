#include "eval/chrf.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "eval/check_pairs.h"
#include "eval/unicode.h"

namespace tandem {
namespace {

constexpr std::size_t kCharOrder = 6;
constexpr std::size_t kWordOrder = 2;
constexpr double kRecallWeight = 4;  // beta^2

struct OrderCounts {
  std::int64_t system = 0;
  std::int64_t reference = 0;
  std::int64_t matches = 0;
};

using ChrfCounts = std::array<OrderCounts, kCharOrder + kWordOrder>;
using NgramCounts = std::unordered_map<std::u32string, std::int64_t>;

NgramCounts char_ngrams(std::u32string_view text, std::size_t order) {
  NgramCounts counts;
  for (std::size_t i = 0; i + order <= text.size(); ++i) ++counts[std::u32string(text.substr(i, order))];
  return counts;
}

NgramCounts word_ngrams(std::span<const std::u32string> words, std::size_t order) {
  NgramCounts counts;
  for (std::size_t i = 0; i + order <= words.size(); ++i) {
    std::u32string ngram = words[i];
    for (std::size_t k = 1; k < order; ++k) ngram += U' ' + words[i + k];
    ++counts[ngram];
  }
  return counts;
}

OrderCounts compare(const NgramCounts& system, const NgramCounts& reference) {
  OrderCounts counts;
  for (const auto& [ngram, count] : reference) counts.reference += count;
  if (reference.empty()) return counts;  // nothing to be precise about
  for (const auto& [ngram, count] : system) {
    counts.system += count;
    const auto found = reference.find(ngram);
    if (found != reference.end()) counts.matches += std::min(count, found->second);
  }
  return counts;
}

bool is_ascii_punctuation(char32_t c) {
  return c > U' ' && c < 0x7F && (is_punctuation(c) || is_symbol(c));
}

// Punctuation at one end of a word is a word of its own; at both ends only the last is taken off: "(hi" and
// ")".
std::vector<std::u32string> words_and_punctuation(std::u32string_view text) {
  std::vector<std::u32string> out;
  for (const std::u32string& word : split_words(text)) {
    if (word.size() > 1 && is_ascii_punctuation(word.back())) {
      out.push_back(word.substr(0, word.size() - 1));
      out.push_back(word.substr(word.size() - 1));
    } else if (word.size() > 1 && is_ascii_punctuation(word.front())) {
      out.push_back(word.substr(0, 1));
      out.push_back(word.substr(1));
    } else {
      out.push_back(word);
    }
  }
  return out;
}

std::u32string without_spaces(std::u32string_view text) {
  std::u32string out;
  std::copy_if(text.begin(), text.end(), std::back_inserter(out), [](char32_t c) { return !is_space(c); });
  return out;
}

void add_segment(ChrfCounts& counts, std::string_view system, std::string_view reference, ChrfWords words) {
  const auto add = [&counts](std::size_t i, const OrderCounts& more) {
    counts[i].system += more.system;
    counts[i].reference += more.reference;
    counts[i].matches += more.matches;
  };
  const std::u32string said = decode_utf8(system);
  const std::u32string expected = decode_utf8(reference);
  const std::u32string said_letters = without_spaces(said);
  const std::u32string expected_letters = without_spaces(expected);
  for (std::size_t n = 1; n <= kCharOrder; ++n) {
    add(n - 1, compare(char_ngrams(said_letters, n), char_ngrams(expected_letters, n)));
  }
  if (words == ChrfWords::kNone) return;
  const std::vector<std::u32string> said_words = words_and_punctuation(said);
  const std::vector<std::u32string> expected_words = words_and_punctuation(expected);
  for (std::size_t n = 1; n <= kWordOrder; ++n) {
    add(kCharOrder + n - 1, compare(word_ngrams(said_words, n), word_ngrams(expected_words, n)));
  }
}

double score(const ChrfCounts& counts) {
  double precision = 0;
  double recall = 0;
  int orders = 0;
  for (const OrderCounts& order : counts) {
    if (order.system == 0 || order.reference == 0) continue;
    precision += static_cast<double>(order.matches) / static_cast<double>(order.system);
    recall += static_cast<double>(order.matches) / static_cast<double>(order.reference);
    ++orders;
  }
  if (precision + recall == 0) return 0;
  precision /= orders;
  recall /= orders;
  return 100 * (1 + kRecallWeight) * precision * recall / (kRecallWeight * precision + recall);
}

}  // namespace

double corpus_chrf(std::span<const std::string> system, std::span<const std::string> references,
                   ChrfWords words) {
  check_pairs("chrF", system.size(), references.size());
  ChrfCounts counts{};
  for (std::size_t i = 0; i < system.size(); ++i) add_segment(counts, system[i], references[i], words);
  return score(counts);
}

double sentence_chrf(std::string_view system, std::string_view reference, ChrfWords words) {
  ChrfCounts counts{};
  add_segment(counts, system, reference, words);
  return score(counts);
}

}  // namespace tandem
