// What stands around source and target: the prompt template of a streaming model, as text and as tokens.
//
// The language instruction stands on the target side, so that one source serves several targets.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "stream/types.h"
#include "text/vocabulary.h"

namespace tandem {

/// As the model file says it (`tandem.template.*`); special tokens by their names.
struct PromptTemplate {
  std::string source_prefix;
  std::string source_suffix;
  std::vector<std::pair<std::string, std::string>> target_prefix;  // language -> prefix
  std::string end;
};

/// The template in tokens, for one target language.
struct Prompt {
  std::vector<TokenId> source_prefix;
  std::vector<TokenId> source_suffix;
  std::vector<TokenId> target_prefix;  // at least one row
  std::vector<TokenId> end;            // at least one token; the first decides the end
};

/// Throws Error{kBadFile} if a template names a special token that the vocabulary lacks, or holds a
/// placeholder:
///   - <...> without spaces or quotes inside ("<s>", "<|im_end|>") must be a token of the vocabulary; the
///   message
///     names some that are like it. Spelt as text it would mean nothing to the model.
///   - {name}, {{...}} and {% ... %} are refused: a template has no placeholders, the language has its own
///   prefix.
/// `file`: where the template stands, for the message.
void check_prompt(const PromptTemplate& prompt, const Vocabulary& vocabulary, std::string_view file = {});

/// Checks as check_prompt does. Throws Error{kNotFound} naming the languages that there are, Error{kBadFile}
/// for a prefix without a token.
Prompt tokenize_prompt(const PromptTemplate& prompt, std::string_view language, const Vocabulary& vocabulary);

}  // namespace tandem
