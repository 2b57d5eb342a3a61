#include "text/prompt.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <numeric>

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

/// "<name>" at the front of `text`, or nothing: a sign "<" in plain text is followed by other things.
std::string_view special_name_at(std::string_view text) {
  if (!text.starts_with('<')) return {};
  const std::size_t end = text.find_first_of("<> \t\n\"'=", 1);
  if (end == std::string_view::npos || text[end] != '>' || end == 1) return {};
  return text.substr(0, end + 1);
}

/// "{name}", or the opening of a Jinja expression, at the front of `text`.
std::string_view placeholder_at(std::string_view text) {
  if (text.starts_with("{{") || text.starts_with("{%")) return text.substr(0, 2);
  if (!text.starts_with('{')) return {};
  const auto is_name = [](char c) { return c == '_' || std::isalnum(static_cast<unsigned char>(c)) != 0; };
  std::size_t end = 1;
  while (end < text.size() && is_name(text[end])) ++end;
  return end > 1 && end < text.size() && text[end] == '}' ? text.substr(0, end + 1) : std::string_view();
}

/// Fewest letters to insert, drop or change that make `a` of `b`.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i + 1);
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t changed = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({changed, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

/// The special tokens most like `name`, best first.
std::vector<std::string> find_near(std::string_view name, const Vocabulary& vocabulary) {
  constexpr std::size_t kMost = 3;
  std::vector<std::pair<std::size_t, std::string>> near;
  for (std::string& other : vocabulary.special_names()) {
    if (other.starts_with('<')) near.emplace_back(edit_distance(name, other), std::move(other));
  }
  std::sort(near.begin(), near.end());
  near.resize(std::min(near.size(), kMost));
  std::vector<std::string> names;
  names.reserve(near.size());
  for (auto& [distance, other] : near) names.push_back(std::move(other));
  return names;
}

void check_template(std::string_view what, std::string_view text, const Vocabulary& vocabulary) {
  for (std::size_t at = 0; at < text.size(); ++at) {
    const std::string_view rest = text.substr(at);
    const std::string_view placeholder = placeholder_at(rest);
    if (!placeholder.empty()) {
      throw Error(
          ErrorCode::kBadFile,
          fmt::format("{}: expected text and special tokens, got the placeholder \"{}\"", what, placeholder));
    }
    const std::string_view name = special_name_at(rest);
    if (name.empty() || vocabulary.find_special(name)) continue;
    const std::vector<std::string> near = find_near(name, vocabulary);
    throw Error(ErrorCode::kBadFile,
                fmt::format("{}: expected special tokens of the vocabulary{}{}, got \"{}\"", what,
                            near.empty() ? "" : " such as ", fmt::join(near, ", "), name));
  }
}

}  // namespace

void check_prompt(const PromptTemplate& prompt, const Vocabulary& vocabulary, std::string_view file) {
  const std::string where = file.empty() ? "prompt" : fmt::format("{}: prompt", file);
  check_template(where + ": source prefix", prompt.source_prefix, vocabulary);
  check_template(where + ": source suffix", prompt.source_suffix, vocabulary);
  for (const auto& [language, prefix] : prompt.target_prefix) {
    check_template(fmt::format("{}: target prefix of \"{}\"", where, language), prefix, vocabulary);
  }
  check_template(where + ": end", prompt.end, vocabulary);
}

Prompt tokenize_prompt(const PromptTemplate& prompt, std::string_view language,
                       const Vocabulary& vocabulary) {
  check_prompt(prompt, vocabulary);
  Prompt tokens;
  tokens.source_prefix = vocabulary.tokenize_template(prompt.source_prefix);
  tokens.source_suffix = vocabulary.tokenize_template(prompt.source_suffix);
  tokens.target_prefix = tokenize_required(fmt::format("target prefix of \"{}\"", language),
                                           find_target_prefix(prompt, language), vocabulary);
  tokens.end = tokenize_required("end", prompt.end, vocabulary);
  return tokens;
}

}  // namespace tandem
