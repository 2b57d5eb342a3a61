#include "model/stream_metadata.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "model/gguf_file.h"
#include "tandem/error.h"

namespace tandem {

namespace {

constexpr int kVersion = 1;
constexpr float kMostPhi = 1 << 20;
// Of a file whose vocabulary was cut, streaming or stock (model/trim_vocab.h).
constexpr std::string_view kOriginalIds = "tandem.vocab.original_ids";

[[noreturn]] void refuse(const GgufFile& file, const std::string& message) {
  throw Error(ErrorCode::kUnsupported, file.path() + ": " + message);
}

Position read_phi(const GgufFile& file) {
  const float phi = file.real("tandem.phi");
  const float doubled = 2 * phi;
  if (!(phi >= 0 && phi <= kMostPhi) || doubled != std::floor(doubled)) {
    file.fail(
        fmt::format("key 'tandem.phi': expected a multiple of 0.5 from 0 to {}, got {}", kMostPhi, phi));
  }
  return Position::from_doubled(static_cast<int>(doubled));
}

TrainedEndMarker read_end_marker(const GgufFile& file) {
  const std::string name = file.text("tandem.end_marker");
  if (name == "any") return TrainedEndMarker::kAny;
  if (name == "with_last_word") return TrainedEndMarker::kWithLastWord;
  if (name == "own_unit") return TrainedEndMarker::kOwnUnit;
  file.fail(
      fmt::format("key 'tandem.end_marker': expected 'any', 'with_last_word' or 'own_unit', got '{}'", name));
}

WaitK read_lag(const GgufFile& file, const std::string& text) {
  if (text == "inf") return WaitK::unlimited();
  int k = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, k);
  if (error != std::errc() || stop != end || k < 1) {
    file.fail(fmt::format("key 'tandem.policy.wait_k': expected numbers from 1 on or 'inf', got '{}'", text));
  }
  return WaitK(k);
}

std::vector<WaitK> read_lags(const GgufFile& file) {
  std::vector<WaitK> lags;
  for (const std::string& text : file.texts("tandem.policy.wait_k")) lags.push_back(read_lag(file, text));
  if (lags.empty()) file.fail("key 'tandem.policy.wait_k': expected at least one lag, got none");
  return lags;
}

std::vector<std::string> read_languages(const GgufFile& file, const std::string& key) {
  std::vector<std::string> languages = file.texts(key);
  if (languages.empty()) file.fail(fmt::format("key '{}': expected at least one language, got none", key));
  std::vector<std::string> sorted = languages;
  std::sort(sorted.begin(), sorted.end());
  if (sorted.front().empty())
    file.fail(fmt::format("key '{}': expected language codes, got an empty one", key));
  const auto twice = std::adjacent_find(sorted.begin(), sorted.end());
  if (twice != sorted.end()) file.fail(fmt::format("key '{}': language '{}' is listed twice", key, *twice));
  return languages;
}

PromptTemplate read_prompt(const GgufFile& file) {
  PromptTemplate prompt;
  prompt.source_prefix = file.text("tandem.template.source_prefix");
  prompt.source_suffix = file.text("tandem.template.source_suffix");
  prompt.end = file.text("tandem.template.end");
  if (prompt.end.empty())
    file.fail("key 'tandem.template.end': expected at least one token, got an empty string");
  const std::vector<std::string> languages = read_languages(file, "tandem.languages.target");
  const std::vector<std::string> prefixes = file.texts("tandem.template.target_prefix");
  if (prefixes.size() != languages.size()) {
    file.fail(fmt::format(
        "key 'tandem.template.target_prefix': expected {} strings, one for each target language, got {}",
        languages.size(), prefixes.size()));
  }
  for (std::size_t i = 0; i < languages.size(); ++i) {
    if (prefixes[i].empty()) {
      file.fail(
          fmt::format("key 'tandem.template.target_prefix': the prefix of '{}' is empty", languages[i]));
    }
    prompt.target_prefix.emplace_back(languages[i], prefixes[i]);
  }
  return prompt;
}

std::vector<TokenId> read_kept_ids(const GgufFile& file, int n_vocab) {
  const auto stored = file.find_integers("tandem.vocab.kept");
  if (!stored) return {};
  if (stored->empty()) file.fail("key 'tandem.vocab.kept': expected at least one id, got none");
  std::vector<TokenId> kept;
  kept.reserve(stored->size());
  int last = -1;
  for (const int id : *stored) {
    if (id <= last || id >= n_vocab) {
      file.fail(fmt::format("key 'tandem.vocab.kept': expected ascending ids below {}, got {} after {}",
                            n_vocab, id, last));
    }
    last = id;
    kept.push_back(TokenId{id});
  }
  return kept;
}

int read_no_repeat_ngram(const GgufFile& file) {
  constexpr std::int64_t kLongest = 1 << 20;
  const auto n = file.find_integer("tandem.decoding.no_repeat_ngram");
  if (n && (*n < 0 || *n > kLongest))
    file.fail(fmt::format("key 'tandem.decoding.no_repeat_ngram': expected 0 to {}, got {}", kLongest, *n));
  return static_cast<int>(n.value_or(0));
}

}  // namespace

std::optional<StreamMetadata> read_stream_metadata(const GgufFile& file, int n_vocab) {
  const std::vector<std::string> keys = file.keys();
  if (std::none_of(keys.begin(), keys.end(), [](const std::string& key) {
        return key.starts_with("tandem.") && key != kOriginalIds;
      })) {
    return std::nullopt;
  }
  const auto version = file.integer("tandem.version");
  if (version != kVersion)
    refuse(file, fmt::format("key 'tandem.version': expected {}, got {}", kVersion, version));
  const std::string paradigm = file.text("tandem.paradigm");
  if (paradigm != "group")
    refuse(file, fmt::format("key 'tandem.paradigm': expected 'group', got '{}'", paradigm));

  StreamMetadata metadata;
  metadata.target_start = read_phi(file);
  metadata.end_marker = read_end_marker(file);
  metadata.wait_k = read_lags(file);
  metadata.prompt = read_prompt(file);
  metadata.source_languages = read_languages(file, "tandem.languages.source");
  metadata.kept_ids = read_kept_ids(file, n_vocab);
  metadata.no_repeat_ngram = read_no_repeat_ngram(file);
  metadata.training_summary = file.text("tandem.training.summary");
  metadata.data_licences = file.texts("tandem.training.data_licences");
  return metadata;
}

}  // namespace tandem
