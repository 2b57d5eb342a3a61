// The training text in tokens, held in few large arrays: half a million pairs take about 100 MB, where a
// vector per sentence would take several times that.
//
// Words of languages with spaces are tokenised once each and remembered, on both sides: words of a text
// tokenised one by one give the tokens of the whole text (text/vocabulary.h). Texts are cut at Unicode white
// space and joined by single spaces first, as a source that arrives word by word is.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "text/vocabulary.h"
#include "train/example.h"
#include "train/parallel_text.h"
#include "train/train_config.h"

namespace tandem {

class Corpus {
 public:
  std::size_t size() const { return records_.size(); }
  Example example(std::size_t index) const;

  /// Rows of an example without its prompts: source tokens plus the tokens of all targets. For batches by
  /// length.
  int n_rows(std::size_t index) const;
  int n_source_rows(std::size_t index) const { return records_[index].n_source_tokens; }
  std::size_t n_targets(std::size_t index) const { return records_[index].n_targets; }
  int set(std::size_t index) const { return records_[index].set; }

  /// Names of the data sets, by Example::set, in order of appearance.
  const std::vector<std::string>& sets() const { return sets_; }

  const TextReport& text_report() const { return text_report_; }
  /// Targets left out because source and target together have more than max_rows tokens.
  std::int64_t n_too_long() const { return n_too_long_; }
  /// Targets left out because a token in them cannot be spelt with the kept pieces.
  std::int64_t n_unspelt() const { return n_unspelt_; }
  std::size_t n_targets() const { return target_records_.size(); }
  /// Whether any target is in the language of that index.
  bool has_language(int language) const;
  /// Tokens of all sources and targets.
  std::size_t n_tokens() const { return tokens_.size(); }

 private:
  friend class CorpusBuilder;

  struct Record {
    std::uint64_t tokens_begin;   // in tokens_: source tokens, then those of each target
    std::uint64_t words_begin;    // in words_: rows of each source word, then the word of each target token
    std::uint32_t targets_begin;  // in target_records_
    std::uint16_t set;
    std::uint16_t n_source_tokens, n_source_words;
    std::uint16_t n_targets;
  };
  struct TargetRecord {
    std::uint16_t language, n_tokens, n_words;
  };

  std::vector<std::string> sets_;
  std::vector<Record> records_;
  std::vector<TargetRecord> target_records_;
  std::vector<std::int32_t> tokens_;
  std::vector<std::uint16_t> words_;
  TextReport text_report_;
  std::int64_t n_too_long_ = 0;
  std::int64_t n_unspelt_ = 0;
};

/// For each id of the vocabulary what it is written as in targets (text/spelling.h); empty: as it is.
using Spelling = std::vector<std::vector<TokenId>>;

/// Reads and tokenises `files` (the train or dev files of `config`). Targets with a token that has no
/// spelling are left out. Throws as read_parallel_text does, and Error{kBadFile} if no example is left.
Corpus read_corpus(const TrainConfig& config, std::span<const DataFile> files, const Vocabulary& vocabulary,
                   const Spelling& spelling = {});

/// How often each id occurs in the targets: [n_ids].
std::vector<std::int64_t> count_target_tokens(const Corpus& corpus, int n_ids);

/// Throws Error{kNotFound} for a target language without a single example.
void check_every_language_has_text(const Corpus& corpus, const TrainConfig& config);

/// How often an example of each set is drawn: config.set_weights by Example::set, 1 where nothing is said.
/// Throws Error{kInvalidArgument} for a weight of a set that is not in the data.
std::vector<double> weights_by_set(const Corpus& corpus, const TrainConfig& config);

}  // namespace tandem
