// Greedy choice among the pieces that may be written, and the one question that streaming adds: does the word
// go on?
//
// A piece is masked (never written, never summed), the end, one that would open a new word, or one that
// continues. The boundary is decided by total probability: the next word is still uncertain and spreads its
// mass over many pieces, so the single best piece would favour going on.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "stream/types.h"
#include "text/word_tracker.h"

namespace tandem {

/// Which pieces a choice may fall on.
enum class Choice { kAny, kContinuation, kBeginningOrEnd };

class Sampler {
 public:
  ///   pieces    of the whole vocabulary, by id
  ///   end_ids   the template's end, beside the ends that the vocabulary knows itself
  ///   head_ids  ids that a row of logits is about, ascending; empty: all of the vocabulary
  Sampler(std::span<const PieceInfo> pieces, std::span<const TokenId> end_ids,
          std::span<const TokenId> head_ids = {});

  bool is_end(TokenId id) const { return is_end_[static_cast<std::size_t>(to_int(id))]; }

  /// The best piece of the class; the lowest id among equals. None if the class is empty or nothing is
  /// finite.
  ///   logits  [n_ids], of the head's ids
  ///   blocked not to be written here: masked for this one choice. The end never is.
  std::optional<TokenId> best(std::span<const float> logits, Choice choice, const WordTracker& words,
                              std::span<const TokenId> blocked = {}) const;

  /// Whether the word ends here: all pieces that would begin a word, and the end, have more probability
  /// together than all that would continue it.
  bool is_boundary(std::span<const float> logits, const WordTracker& words,
                   std::span<const TokenId> blocked = {}) const;

 private:
  enum Kind : std::uint8_t { kMasked, kEnd, kBegins, kContinues };
  /// visit(begin, n): the places of a row of logits between the blocked ones.
  template <typename Visit>
  void for_each_stretch(std::span<const TokenId> blocked, Visit visit) const;
  bool is_masked(std::size_t at, std::span<const TokenId> blocked) const;
  bool begins(std::size_t at, bool boundary_open) const {
    return kinds_[at] == kEnd || (boundary_open && kinds_[at] == kBegins);
  }

  // By place in a row of logits, so that a small head is a short loop.
  std::vector<std::uint8_t> kinds_;
  std::vector<TokenId> ids_;
  std::vector<bool> is_end_;  // by id
};

}  // namespace tandem
