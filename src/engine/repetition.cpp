#include "engine/repetition.h"

#include <algorithm>

namespace tandem {

void RepetitionBlock::accept(TokenId id) {
  if (n_gram_ == 0) return;
  target_.push_back(id);
  blocked_.clear();
  const auto n_before = static_cast<std::ptrdiff_t>(n_gram_) - 1;
  if (std::ssize(target_) <= n_before) return;
  const auto last = target_.end() - n_before;  // the n - 1 tokens that the next one would complete
  for (auto first = target_.begin(); first < last; ++first) {
    if (std::equal(last, target_.end(), first)) blocked_.push_back(first[n_before]);
  }
}

}  // namespace tandem
