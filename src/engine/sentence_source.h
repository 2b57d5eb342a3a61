// The source of one sentence as far as it has arrived: its words, and the tokens of its rows.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "stream/types.h"

namespace tandem {

class SentenceSource {
 public:
  explicit SentenceSource(std::span<const TokenId> prefix) : tokens_(prefix.begin(), prefix.end()) {}

  void add_word(std::string text, std::span<const TokenId> tokens) {
    words_.push_back(std::move(text));
    tokens_.insert(tokens_.end(), tokens.begin(), tokens.end());
  }
  void end(std::span<const TokenId> suffix) {
    tokens_.insert(tokens_.end(), suffix.begin(), suffix.end());
    has_ended_ = true;
  }

  bool has_ended() const { return has_ended_; }
  int n_words() const { return static_cast<int>(words_.size()); }
  /// Empty for a unit that is no word: the suffix.
  std::string word(int i) const {
    return i < n_words() ? words_[static_cast<std::size_t>(i)] : std::string();
  }
  int n_rows() const { return static_cast<int>(tokens_.size()); }
  /// Of row i: prefix, words, suffix.
  TokenId token(int i) const { return tokens_[static_cast<std::size_t>(i)]; }

 private:
  std::vector<TokenId> tokens_;
  std::vector<std::string> words_;
  bool has_ended_ = false;
};

}  // namespace tandem
