// No n-gram twice in one target: greedy decoding of a small model can fall into a loop ("and back and back
// and back") that only the limit of length ends. The rule is the usual one (no_repeat_ngram_size of fairseq
// and Transformers): a token that would complete n tokens which already stand in this order is not to be
// written.
#pragma once

#include <span>
#include <vector>

#include "stream/types.h"

namespace tandem {

class RepetitionBlock {
 public:
  /// `n_gram` 0 blocks nothing.
  explicit RepetitionBlock(int n_gram) : n_gram_(n_gram) {}

  /// The target goes on with `id`. Looks through the target once, which is short beside a row of logits.
  void accept(TokenId id);

  /// Tokens that may not come next; a few, in no order.
  std::span<const TokenId> blocked() const { return blocked_; }

 private:
  int n_gram_;
  std::vector<TokenId> target_;
  std::vector<TokenId> blocked_;
};

}  // namespace tandem
