// BLEU (Papineni et al., 2002) as sacrebleu defines it, one reference per segment.
//
//   BLEU = BP * exp(1/4 sum_n log p_n),  p_n = matches_n / totals_n,  BP = min(1, exp(1 - ref / sys))
//
// over n-grams of 1 to 4 tokens, matches clipped per segment, counts summed over the corpus before any
// division. An order without a match gets 1 / (2^i totals_n) for the i-th such order (smoothing "exp", as
// mteval does). With the default options the signature is nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "eval/tokenize.h"

namespace tandem {

inline constexpr int kBleuOrder = 4;

struct BleuOptions {
  Tokenizer tokenizer = Tokenizer::k13a;
  Case letters = Case::kMixed;
};

/// What BLEU needs to know of a segment, or summed, of a corpus. Lengths in tokens.
struct BleuCounts {
  std::int64_t system_length = 0;
  std::int64_t reference_length = 0;
  std::array<std::int64_t, kBleuOrder>
      matches{};  // [n-1]: n-grams also in the reference, each as often as there
  std::array<std::int64_t, kBleuOrder> totals{};  // [n-1]: n-grams of the system

  BleuCounts& operator+=(const BleuCounts& other);
};

struct Bleu {
  double score = 0;                             // 0 to 100
  std::array<double, kBleuOrder> precisions{};  // percent, smoothed
  double brevity_penalty = 0;
  BleuCounts counts;
};

BleuCounts count_ngrams(std::span<const std::u32string> system, std::span<const std::u32string> reference);

/// BLEU of a corpus; line i of the system against line i of the reference. An empty line counts as one.
/// Throws kInvalidArgument if there is no line, or not the same number of both.
Bleu corpus_bleu(std::span<const std::string> system, std::span<const std::string> references,
                 const BleuOptions& options = {});

/// BLEU of one segment over the orders that it is long enough for ("effective order"), else a sentence of
/// three words could only score 0.
Bleu sentence_bleu(std::string_view system, std::string_view reference, const BleuOptions& options = {});

}  // namespace tandem
