// The distinct words of texts and how often each occurs: what a vocabulary is counted on, so that a large
// corpus costs as many tokenisations as it has different words. The first word of a text is counted apart,
// because some tokenizers give it other pieces than the same word after a space.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "text/vocabulary.h"

namespace tandem {

class WordCounts {
 public:
  /// One text, such as a line. Must be valid UTF-8.
  void add(std::string_view text);

  /// Distinct words, the first of a text and the same word elsewhere counted as two.
  std::size_t size() const;
  std::int64_t n_words() const { return n_words_; }

  /// Calls `take` once for each, in no particular order.
  void for_each(
      const std::function<void(std::string_view word, bool is_first, std::int64_t count)>& take) const;

 private:
  struct Hash : std::hash<std::string_view> {
    using is_transparent = void;
  };
  using Table = std::unordered_map<std::string, std::int64_t, Hash, std::equal_to<>>;
  std::array<Table, 2> tables_;  // first words, others
  std::int64_t n_words_ = 0;
};

/// How often each id occurs when the words are tokenised. [vocabulary.size()]. `progress` gets fractions from
/// 0 to 1.
std::vector<std::int64_t> count_tokens(const WordCounts& words, const Vocabulary& vocabulary,
                                       const std::function<void(double)>& progress = {});

}  // namespace tandem
