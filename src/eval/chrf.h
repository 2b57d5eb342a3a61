// chrF (Popovic, 2015) and chrF++ (2017) as sacrebleu defines them, one reference per segment.
//
// F-score of character n-grams of 1 to 6 characters without white space, recall weighing beta^2 = 4 times
// precision; chrF++ adds n-grams of 1 and 2 words. Precision and recall are averaged over the orders for
// which both sides have n-grams, and the F-score is taken of the averages. Counts are summed over the corpus
// first.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace tandem {

enum class ChrfWords { kNone, kUpToTwo };  // chrF2, chrF2++

/// 0 to 100. Throws kInvalidArgument if there is no line, or not the same number of both.
double corpus_chrf(std::span<const std::string> system, std::span<const std::string> references,
                   ChrfWords words = ChrfWords::kNone);

double sentence_chrf(std::string_view system, std::string_view reference, ChrfWords words = ChrfWords::kNone);

}  // namespace tandem
