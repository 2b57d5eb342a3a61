#include "text/prompt.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "tandem/error.h"

namespace tandem {
namespace {

const std::string& find_target_prefix(const PromptTemplate& prompt, std::string_view language) {
  const auto found = std::find_if(prompt.target_prefix.begin(), prompt.target_prefix.end(),
                                  [&](const auto& entry) { return entry.first == language; });
  if (found != prompt.target_prefix.end()) return found->second;
  std::vector<std::string> known;
  for (const auto& [name, text] : prompt.target_prefix) known.push_back(name);
  throw Error(ErrorCode::kNotFound, fmt::format("prompt: target language: expected one of [{}], got \"{}\"",
                                                fmt::join(known, ", "), language));
}

std::vector<TokenId> tokenize_required(std::string_view what, std::string_view text,
                                       const Vocabulary& vocabulary) {
  std::vector<TokenId> tokens = vocabulary.tokenize_template(text);
  if (tokens.empty()) {
    throw Error(ErrorCode::kBadFile,
                fmt::format("prompt: {}: expected at least one token, got \"{}\"", what, text));
  }
  return tokens;
}

}  // namespace

Prompt tokenize_prompt(const PromptTemplate& prompt, std::string_view language,
                       const Vocabulary& vocabulary) {
  Prompt tokens;
  tokens.source_prefix = vocabulary.tokenize_template(prompt.source_prefix);
  tokens.source_suffix = vocabulary.tokenize_template(prompt.source_suffix);
  tokens.target_prefix = tokenize_required(fmt::format("target prefix of \"{}\"", language),
                                           find_target_prefix(prompt, language), vocabulary);
  tokens.end = tokenize_required("end", prompt.end, vocabulary);
  return tokens;
}

}  // namespace tandem
