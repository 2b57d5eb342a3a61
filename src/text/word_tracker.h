// Where target words begin: a small running state over piece ids (DESIGN: words). Training cuts its targets
// with it and the engine decides boundaries with it, so both mean the same by "word".
//
// Languages with spaces: a word begins with a piece that carries the vocabulary's mark. A piece that is only
// the mark belongs to the piece after it; several marks in a row are one boundary. Punctuation belongs to the
// word that it is attached to. Languages without (zh, ja, th, ...): the unit is the code point; a piece of c
// code points advances by c, bytes advance when they complete one; the mark in front of a text is no
// character of it.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "stream/types.h"
#include "text/vocabulary.h"

namespace tandem {

enum class WordUnit { kSpaced, kCodePoint };

/// The unit of a language by its code ("de", "zh-Hans"): code points for languages written without spaces.
WordUnit word_unit_of(std::string_view language);

class WordTracker {
 public:
  /// `pieces` must outlive the tracker (it is the vocabulary's table, or a test's).
  WordTracker(std::span<const PieceInfo> pieces, WordUnit unit) : pieces_(pieces), unit_(unit) {}

  /// Word (or code point) that `id` would belong to if it came next. The first piece of a text is in word 0,
  /// marked or not.
  int word_of_next(TokenId id) const;
  /// Whether `id` as the next piece would open a new word (any piece does at the start). For code points:
  /// never asked, the count decides.
  bool would_begin_word(TokenId id) const;
  /// Whether the next piece may open a new word at all: not at the start, and not after marks only.
  bool is_boundary_open() const;

  void accept(TokenId id);

  /// Word of the piece accepted last (-1 before the first); for code points, how many are complete (0 at
  /// first).
  int word() const { return unit_ == WordUnit::kCodePoint ? n_code_points_ : word_; }
  WordUnit unit() const { return unit_; }

 private:
  const PieceInfo& piece_of(TokenId id) const { return pieces_[static_cast<std::size_t>(to_int(id))]; }
  void accept_code_points(const PieceInfo& piece);

  std::span<const PieceInfo> pieces_;
  WordUnit unit_;
  int word_ = -1;            // spaced: index of the current word
  bool only_marks_ = false;  // spaced: the current word has nothing but marks yet
  int n_code_points_ = 0;    // code points: complete so far
  int n_awaited_bytes_ = 0;  // code points: bytes that the unfinished one still wants
  bool at_start_ = true;     // code points: nothing but marks accepted yet
};

}  // namespace tandem
