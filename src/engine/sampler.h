// Greedy choice among the pieces that may be written, and the one question that streaming adds: does the word
// go on?
//
// A piece is masked (never written, never summed), the end, one that would open a new word, or one that
// continues. The boundary is decided by total probability: the next word is still uncertain and spreads its
// mass over many pieces, so the single best piece would favour going on.
#pragma once

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
  ///   end_ids   the template's end, beside the ends that the vocabulary knows itself
  ///   kept_ids  ids that the model was trained to write, all others are masked; empty: all
  Sampler(std::span<const PieceInfo> pieces, std::span<const TokenId> end_ids,
          std::span<const TokenId> kept_ids = {});

  bool is_end(TokenId id) const { return kinds_[index(id)] == Kind::kEnd; }

  /// The best piece of the class; the lowest id among equals. None if the class is empty or nothing is
  /// finite.
  ///   logits [n_vocab]
  std::optional<TokenId> best(std::span<const float> logits, Choice choice, const WordTracker& words) const;

  /// Whether the word ends here: all pieces that would begin a word, and the end, have more probability
  /// together than all that would continue it.
  bool is_boundary(std::span<const float> logits, const WordTracker& words) const;

 private:
  static std::size_t index(TokenId id) { return static_cast<std::size_t>(to_int(id)); }
  enum class Kind : unsigned char { kMasked, kEnd, kBegins, kContinues };
  bool begins(std::size_t id, bool boundary_open) const {
    return kinds_[id] == Kind::kEnd || (boundary_open && kinds_[id] == Kind::kBegins);
  }

  std::vector<Kind> kinds_;  // by token id
};

}  // namespace tandem
