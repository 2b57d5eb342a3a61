#include "text/word_tracker.h"

#include <algorithm>
#include <array>
#include <string>

namespace tandem {

WordUnit word_unit_of(std::string_view language) {
  // Languages written without spaces between words, by ISO 639 code: Chinese and its Sinitic sisters,
  // Japanese, Thai, Lao, Khmer, Burmese, Tibetan, Dzongkha. Korean is written with spaces.
  static constexpr std::array<std::string_view, 11> kUnspaced = {"zh", "ja", "th",  "lo",  "km", "my",
                                                                 "bo", "dz", "yue", "wuu", "lzh"};
  std::string code(language.substr(0, language.find_first_of("-_")));
  std::transform(code.begin(), code.end(), code.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c; });
  return std::find(kUnspaced.begin(), kUnspaced.end(), code) != kUnspaced.end() ? WordUnit::kCodePoint
                                                                                : WordUnit::kSpaced;
}

int WordTracker::word_of_next(TokenId id) const {
  if (unit_ == WordUnit::kCodePoint) return n_code_points_;
  if (word_ < 0) return 0;
  const bool opens = piece_of(id).begins_word && !only_marks_;
  return opens ? word_ + 1 : word_;
}

bool WordTracker::would_begin_word(TokenId id) const {
  return word_of_next(id) > word();
}

bool WordTracker::is_boundary_open() const {
  return word_ >= 0 && !only_marks_;
}

void WordTracker::accept(TokenId id) {
  if (unit_ == WordUnit::kCodePoint) {
    accept_code_points(piece_of(id));
    return;
  }
  const int next = word_of_next(id);
  const bool is_new = next != word_;
  only_marks_ = piece_of(id).only_mark && (is_new || only_marks_);
  word_ = next;
}

void WordTracker::accept_code_points(const PieceInfo& piece) {
  int n = piece.n_code_points;
  // The mark in front of the text stands for no character of it (the detokeniser drops it too).
  if (at_start_ && piece.only_mark) return;
  if (at_start_ && piece.begins_word) n -= 1;
  if (piece.n_code_points > 0 || piece.is_byte) at_start_ = false;

  const bool is_joining_only = piece.is_byte && piece.n_code_points == 0 && piece.n_missing_bytes == 0;
  if (n_awaited_bytes_ > 0 && piece.n_joining_bytes >= n_awaited_bytes_) n += 1;
  n_awaited_bytes_ =
      is_joining_only ? std::max(0, n_awaited_bytes_ - piece.n_joining_bytes) : piece.n_missing_bytes;
  n_code_points_ += n;
}

}  // namespace tandem
