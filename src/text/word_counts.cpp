#include "text/word_counts.h"

#include "text/utf8.h"

namespace tandem {

void WordCounts::add(std::string_view text) {
  bool is_first = true;
  for (const std::string_view word : split_words(text)) {
    Table& table = tables_[is_first ? 0 : 1];
    const auto known = table.find(word);
    if (known != table.end()) {
      ++known->second;
    } else {
      table.emplace(word, 1);
    }
    ++n_words_;
    is_first = false;
  }
}

std::size_t WordCounts::size() const {
  return tables_[0].size() + tables_[1].size();
}

void WordCounts::for_each(
    const std::function<void(std::string_view word, bool is_first, std::int64_t count)>& take) const {
  for (const bool is_first : {true, false}) {
    for (const auto& [word, count] : tables_[is_first ? 0 : 1]) take(word, is_first, count);
  }
}

std::vector<std::int64_t> count_tokens(const WordCounts& words, const Vocabulary& vocabulary,
                                       const std::function<void(double)>& progress) {
  std::vector<std::int64_t> counts(static_cast<std::size_t>(vocabulary.size()));
  std::size_t n_done = 0;
  words.for_each([&](std::string_view word, bool is_first, std::int64_t count) {
    for (const TokenId token : vocabulary.tokenize_word(word, is_first)) {
      counts[static_cast<std::size_t>(to_int(token))] += count;
    }
    constexpr std::size_t kEvery = 1024;
    if (++n_done % kEvery == 0 && progress) {
      progress(static_cast<double>(n_done) / static_cast<double>(words.size()));
    }
  });
  return counts;
}

}  // namespace tandem
