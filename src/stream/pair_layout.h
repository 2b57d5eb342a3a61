// A whole sentence pair at once: the rows and visibilities of one masked batch forward. Training and the
// tests that hold streaming against a batch forward build their masks and positions from here, and the
// engine's step-by-step choices must come to the same (DESIGN: "streaming equals one masked batch forward").
//
// Worked example, k = 1: source p0 p1 | w1 | w2a w2b | w3 e, target a | t1 | t2a t2b | t3 | end
//
//   target row     a   t1   t2a  t2b  t3
//   predicts       t1  t2a  t2b  t3   end
//   visible        3   5    5    7    7       <- what the *predicted* token's word may see
//   old_visible    3   3    5    5    7       <- what the row's own word may see (differs at a word's end)
#pragma once

#include <span>
#include <vector>

#include "stream/visibility.h"
#include "stream/wait_k.h"

namespace tandem {

/// The target side of a pair, in tokens.
struct TargetShape {
  int n_prefix_rows = 1;           // at least 1, else nothing predicts the first token
  std::vector<int> word_of_token;  // for each token of the text: the word (or code point) that it belongs to
  int n_words = 0;                 // M; the end counts as word M
  int n_end_tokens = 1;            // the last of them is never a row

  /// From tokens per word, e.g. {1, 2, 1}.
  static TargetShape from_words(int n_prefix_rows, std::span<const int> word_tokens, int n_end_tokens = 1);

  int n_rows() const { return n_prefix_rows + static_cast<int>(word_of_token.size()) + n_end_tokens - 1; }
};

/// What each word, and so each row, of a target may see under wait-k.
struct TargetLayout {
  std::vector<int> units_for_word;    // [M + 1]  units read; the last entry is the end's
  std::vector<int> delay_for_word;    // [M + 1]  source words read
  std::vector<int> visible_for_word;  // [M + 1]  source rows visible
  std::vector<int> visible;           // [rows]   visibility of the token that the row predicts
  std::vector<int>
      old_visible;  // [rows]   visibility of the word that the row's own token ends or goes on with
};

/// Throws Error{kInvalidArgument} if the target has no prefix row.
TargetLayout layout_target(const SourceUnits& source, const TargetShape& target, WaitK k);

/// Rows of the pair, source first, then each target in turn; slot = place in that order.
///   visible  for each target, its rows' visibilities
std::vector<RowPlace> place_pair(int n_source_rows, std::span<const std::vector<int>> visible,
                                 Position target_start);

}  // namespace tandem
