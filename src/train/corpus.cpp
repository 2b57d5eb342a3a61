#include "train/corpus.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <limits>
#include <unordered_map>

#include "tandem/error.h"
#include "text/utf8.h"
#include "text/word_tracker.h"

namespace tandem {
namespace {

/// Tokens of words, each worked out once. The first word of a text may be tokenised otherwise than the
/// others.
class WordTokens {
 public:
  explicit WordTokens(const Vocabulary& vocabulary) : vocabulary_(vocabulary) {}

  const std::vector<TokenId>& of(std::string_view word, bool is_first) {
    auto& known = known_[is_first ? 1 : 0];
    key_.assign(word);
    auto place = known.find(key_);
    if (place == known.end()) place = known.emplace(key_, vocabulary_.tokenize_word(word, is_first)).first;
    return place->second;
  }

 private:
  const Vocabulary& vocabulary_;
  std::unordered_map<std::string, std::vector<TokenId>> known_[2];
  std::string key_;
};

std::vector<std::string_view> split_code_points(std::string_view word) {
  std::vector<std::string_view> code_points;
  while (!word.empty()) {
    const std::size_t n_bytes = next_utf8(word).n_bytes;
    code_points.push_back(word.substr(0, n_bytes));
    word.remove_prefix(n_bytes);
  }
  return code_points;
}

/// The units that a source is READ by: words, or single characters.
std::vector<std::string_view> split_units(std::string_view text, WordUnit unit) {
  std::vector<std::string_view> words = split_words(text);
  if (unit == WordUnit::kSpaced) return words;
  std::vector<std::string_view> units;
  for (const std::string_view word : words) {
    const auto code_points = split_code_points(word);
    units.insert(units.end(), code_points.begin(), code_points.end());
  }
  return units;
}

}  // namespace

class CorpusBuilder {
 public:
  CorpusBuilder(const TrainConfig& config, const Vocabulary& vocabulary, const Spelling& spelling)
      : config_(config),
        vocabulary_(vocabulary),
        spelling_(spelling),
        word_tokens_(vocabulary),
        source_unit_(word_unit_of(config.source_language)) {
    for (const std::string& language : config.target_languages)
      target_units_.push_back(word_unit_of(language));
  }

  Corpus build(std::span<const DataFile> files) && {
    corpus_.text_report_ =
        read_parallel_text(files, config_.target_languages, [this](const TextRow& row) { add(row); });
    corpus_.tokens_.shrink_to_fit();
    corpus_.words_.shrink_to_fit();
    return std::move(corpus_);
  }

 private:
  void add(const TextRow& row) {
    tokenize_source(row.source);
    Corpus::Record record = {};
    record.tokens_begin = corpus_.tokens_.size();
    record.words_begin = corpus_.words_.size();
    record.targets_begin = static_cast<std::uint32_t>(corpus_.target_records_.size());
    record.n_source_tokens = static_cast<std::uint16_t>(source_tokens_.size());
    record.n_source_words = static_cast<std::uint16_t>(source_word_rows_.size());
    for (const TextRow::Target& target : row.targets) {
      if (!tokenize_target(target)) {
        ++corpus_.n_unspelt_;
        continue;
      }
      if (source_tokens_.size() + target_tokens_.size() > static_cast<std::size_t>(config_.max_rows)) {
        ++corpus_.n_too_long_;
        continue;
      }
      if (record.n_targets++ == 0) append(source_tokens_, source_word_rows_);
      append_target(target.language);
    }
    if (record.n_targets == 0) return;
    record.set = index_of_set(row.set);
    corpus_.records_.push_back(record);
  }

  void tokenize_source(std::string_view text) {
    source_tokens_.clear();
    source_word_rows_.clear();
    for (const std::string_view word : split_units(text, source_unit_)) {
      const auto& tokens = word_tokens_.of(word, source_word_rows_.empty());
      source_tokens_.insert(source_tokens_.end(), tokens.begin(), tokens.end());
      source_word_rows_.push_back(static_cast<int>(tokens.size()));
    }
  }

  /// Leaves target_tokens_ spelt with the pieces that may be written; false if that is not possible.
  bool spell_target() {
    if (spelling_.empty()) return true;
    unspelt_tokens_.swap(target_tokens_);
    target_tokens_.clear();
    for (const TokenId token : unspelt_tokens_) {
      const auto& pieces = spelling_[static_cast<std::size_t>(to_int(token))];
      if (pieces.empty()) return false;
      target_tokens_.insert(target_tokens_.end(), pieces.begin(), pieces.end());
    }
    return true;
  }

  bool tokenize_target(const TextRow::Target& target) {
    const WordUnit unit = target_units_[static_cast<std::size_t>(target.language)];
    const std::vector<std::string_view> words = split_words(target.text);
    target_tokens_.clear();
    if (unit == WordUnit::kCodePoint) {
      target_tokens_ = vocabulary_.tokenize(fmt::format("{}", fmt::join(words, " ")));
    } else {
      for (const std::string_view word : words) {
        const auto& tokens = word_tokens_.of(word, target_tokens_.empty());
        target_tokens_.insert(target_tokens_.end(), tokens.begin(), tokens.end());
      }
    }
    if (!spell_target()) return false;
    WordTracker tracker(vocabulary_.pieces(), unit);
    target_words_.clear();
    for (const TokenId token : target_tokens_) {
      target_words_.push_back(tracker.word_of_next(token));
      tracker.accept(token);
    }
    // Spaced: words are counted from 0; code points: as many as are complete.
    n_target_words_ = unit == WordUnit::kSpaced ? tracker.word() + 1 : tracker.word();
    return true;
  }

  void append(const std::vector<TokenId>& tokens, const std::vector<int>& words) {
    for (const TokenId token : tokens) corpus_.tokens_.push_back(to_int(token));
    for (const int word : words) corpus_.words_.push_back(static_cast<std::uint16_t>(word));
  }

  void append_target(int language) {
    append(target_tokens_, target_words_);
    corpus_.target_records_.push_back({static_cast<std::uint16_t>(language),
                                       static_cast<std::uint16_t>(target_tokens_.size()),
                                       static_cast<std::uint16_t>(n_target_words_)});
  }

  std::uint16_t index_of_set(std::string_view name) {
    auto& sets = corpus_.sets_;
    const auto place = std::find(sets.begin(), sets.end(), name);
    if (place != sets.end()) return static_cast<std::uint16_t>(place - sets.begin());
    if (sets.size() == std::numeric_limits<std::uint16_t>::max()) {
      throw Error(ErrorCode::kBadFile, fmt::format("data: expected at most {} sets, got more", sets.size()));
    }
    sets.emplace_back(name);
    return static_cast<std::uint16_t>(sets.size() - 1);
  }

  const TrainConfig& config_;
  const Vocabulary& vocabulary_;
  const Spelling& spelling_;
  WordTokens word_tokens_;
  WordUnit source_unit_;
  std::vector<WordUnit> target_units_;
  Corpus corpus_;
  std::vector<TokenId> source_tokens_, target_tokens_, unspelt_tokens_;  // of the row in hand, reused
  std::vector<int> source_word_rows_, target_words_;
  int n_target_words_ = 0;
};

Example Corpus::example(std::size_t index) const {
  const Record& record = records_[index];
  auto token = tokens_.begin() + static_cast<std::ptrdiff_t>(record.tokens_begin);
  auto word = words_.begin() + static_cast<std::ptrdiff_t>(record.words_begin);
  const auto take_tokens = [&](std::vector<TokenId>& tokens, int n) {
    tokens.reserve(static_cast<std::size_t>(n));
    for (int i = 0; i < n; ++i) tokens.push_back(TokenId{*token++});
  };
  const auto take_words = [&](std::vector<int>& words, int n) {
    words.assign(word, word + n);
    word += n;
  };
  Example example;
  example.set = record.set;
  take_tokens(example.source_tokens, record.n_source_tokens);
  take_words(example.source_word_rows, record.n_source_words);
  for (std::size_t i = 0; i < record.n_targets; ++i) {
    const TargetRecord& from = target_records_[record.targets_begin + i];
    TargetText& target = example.targets.emplace_back();
    target.language = from.language;
    target.n_words = from.n_words;
    take_tokens(target.tokens, from.n_tokens);
    take_words(target.word_of_token, from.n_tokens);
  }
  return example;
}

int Corpus::n_rows(std::size_t index) const {
  const Record& record = records_[index];
  int n = record.n_source_tokens;
  for (std::size_t i = 0; i < record.n_targets; ++i) n += target_records_[record.targets_begin + i].n_tokens;
  return n;
}

bool Corpus::has_language(int language) const {
  return std::any_of(target_records_.begin(), target_records_.end(),
                     [&](const TargetRecord& target) { return target.language == language; });
}

Corpus read_corpus(const TrainConfig& config, std::span<const DataFile> files, const Vocabulary& vocabulary,
                   const Spelling& spelling) {
  Corpus corpus = CorpusBuilder(config, vocabulary, spelling).build(files);
  if (corpus.size() == 0) {
    const TextReport& report = corpus.text_report();
    throw Error(
        ErrorCode::kBadFile,
        fmt::format("data: expected at least one example, got {} lines of which {} are empty and {} targets "
                    "are longer than max_rows = {}",
                    report.n_lines, report.n_empty, corpus.n_too_long(), config.max_rows));
  }
  return corpus;
}

std::vector<std::int64_t> count_target_tokens(const Corpus& corpus, int n_ids) {
  std::vector<std::int64_t> counts(static_cast<std::size_t>(n_ids), 0);
  for (std::size_t i = 0; i < corpus.size(); ++i) {
    for (const TargetText& target : corpus.example(i).targets) {
      for (const TokenId token : target.tokens) ++counts[static_cast<std::size_t>(to_int(token))];
    }
  }
  return counts;
}

void check_every_language_has_text(const Corpus& corpus, const TrainConfig& config) {
  for (std::size_t i = 0; i < config.target_languages.size(); ++i) {
    if (corpus.has_language(static_cast<int>(i))) continue;
    throw Error(ErrorCode::kNotFound,
                fmt::format("data: target language \"{}\" has no text in the training files",
                            config.target_languages[i]));
  }
}

std::vector<double> weights_by_set(const Corpus& corpus, const TrainConfig& config) {
  const auto& sets = corpus.sets();
  std::vector<double> weights(sets.size(), 1.0);
  for (const auto& [name, weight] : config.set_weights) {
    const auto place = std::find(sets.begin(), sets.end(), name);
    if (place == sets.end()) {
      throw Error(ErrorCode::kInvalidArgument,
                  fmt::format("[data] set_weights: expected one of the sets [{}], got \"{}\"",
                              fmt::join(sets, ", "), name));
    }
    weights[static_cast<std::size_t>(place - sets.begin())] = weight;
  }
  return weights;
}

}  // namespace tandem
