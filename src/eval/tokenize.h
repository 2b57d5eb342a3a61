// A line cut into the tokens that BLEU counts, by the tokenizers that sacrebleu names.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tandem {

enum class Tokenizer {
  k13a,   // Western punctuation, the default of published scores
  kZh,    // Chinese by character
  kIntl,  // punctuation and symbols of all scripts (mteval-v14)
  kChar,  // every character that is not white space
};

enum class Case { kMixed, kLower };

/// Tokens of one line of UTF-8 text; white space at its ends has no effect.
std::vector<std::u32string> tokenize(std::string_view line, Tokenizer tokenizer, Case letters = Case::kMixed);

/// "13a", "zh", "intl", "char": the name that a score's signature gives.
std::string_view tokenizer_name(Tokenizer tokenizer);

}  // namespace tandem
