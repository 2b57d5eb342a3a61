#include "eval/bleu.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <map>
#include <vector>

#include "eval/check_pairs.h"

namespace tandem {
namespace {

enum class Order { kFixed, kEffective };

using Ngram = std::span<const std::u32string>;

struct NgramLess {
  bool operator()(Ngram a, Ngram b) const {
    return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end());
  }
};

using NgramCounts = std::map<Ngram, std::int64_t, NgramLess>;

NgramCounts ngrams_of(std::span<const std::u32string> tokens, std::size_t order) {
  NgramCounts counts;
  for (std::size_t i = 0; i + order <= tokens.size(); ++i) ++counts[tokens.subspan(i, order)];
  return counts;
}

double brevity_penalty(const BleuCounts& counts) {
  if (counts.system_length >= counts.reference_length) return 1;
  if (counts.system_length == 0) return 0;
  return std::exp(1 -
                  static_cast<double>(counts.reference_length) / static_cast<double>(counts.system_length));
}

Bleu score(const BleuCounts& counts, Order order) {
  Bleu bleu;
  bleu.counts = counts;
  bleu.brevity_penalty = brevity_penalty(counts);
  // Without a single match there is nothing to smooth.
  if (std::all_of(counts.matches.begin(), counts.matches.end(), [](auto n) { return n == 0; })) return bleu;

  double log_sum = 0;
  int orders = 0;
  double halving = 1;
  for (std::size_t n = 0; n < kBleuOrder && counts.totals[n] > 0; ++n, ++orders) {
    const auto total = static_cast<double>(counts.totals[n]);
    if (counts.matches[n] == 0) {
      halving *= 2;
      bleu.precisions[n] = 100 / (halving * total);
    } else {
      bleu.precisions[n] = 100 * static_cast<double>(counts.matches[n]) / total;
    }
    log_sum += std::log(bleu.precisions[n]);
  }
  if (order == Order::kFixed && orders < kBleuOrder) return bleu;  // an order without n-grams: log 0
  bleu.score = bleu.brevity_penalty * std::exp(log_sum / orders);
  return bleu;
}

BleuCounts count_segment(std::string_view system, std::string_view reference, const BleuOptions& options) {
  return count_ngrams(tokenize(system, options.tokenizer, options.letters),
                      tokenize(reference, options.tokenizer, options.letters));
}

}  // namespace

BleuCounts& BleuCounts::operator+=(const BleuCounts& other) {
  system_length += other.system_length;
  reference_length += other.reference_length;
  for (std::size_t n = 0; n < kBleuOrder; ++n) {
    matches[n] += other.matches[n];
    totals[n] += other.totals[n];
  }
  return *this;
}

BleuCounts count_ngrams(std::span<const std::u32string> system, std::span<const std::u32string> reference) {
  BleuCounts counts;
  counts.system_length = std::ssize(system);
  counts.reference_length = std::ssize(reference);
  for (std::size_t n = 0; n < kBleuOrder; ++n) {
    const NgramCounts expected = ngrams_of(reference, n + 1);
    for (const auto& [ngram, count] : ngrams_of(system, n + 1)) {
      counts.totals[n] += count;
      const auto found = expected.find(ngram);
      if (found != expected.end()) counts.matches[n] += std::min(count, found->second);
    }
  }
  return counts;
}

Bleu corpus_bleu(std::span<const std::string> system, std::span<const std::string> references,
                 const BleuOptions& options) {
  check_pairs("BLEU", system.size(), references.size());
  BleuCounts counts;
  for (std::size_t i = 0; i < system.size(); ++i) counts += count_segment(system[i], references[i], options);
  return score(counts, Order::kFixed);
}

Bleu sentence_bleu(std::string_view system, std::string_view reference, const BleuOptions& options) {
  return score(count_segment(system, reference, options), Order::kEffective);
}

}  // namespace tandem
