#include "engine/sampler.h"

#include <algorithm>
#include <limits>

#include "numeric/row_loops.h"
#include "tandem/error.h"

namespace tandem {

Sampler::Sampler(std::span<const PieceInfo> pieces, std::span<const TokenId> end_ids,
                 std::span<const TokenId> head_ids)
    : ids_(head_ids.begin(), head_ids.end()) {
  for (std::int32_t id = 0; head_ids.empty() && static_cast<std::size_t>(id) < pieces.size(); ++id)
    ids_.push_back(TokenId{id});
  for (const PieceInfo& piece : pieces) is_end_.push_back(piece.is_end);
  for (const TokenId id : end_ids) is_end_.at(static_cast<std::size_t>(to_int(id))) = true;
  for (const TokenId id : ids_) {
    const PieceInfo& piece = pieces[static_cast<std::size_t>(to_int(id))];
    if (is_end(id))
      kinds_.push_back(kEnd);
    else if (piece.is_masked)
      kinds_.push_back(kMasked);
    else
      kinds_.push_back(piece.begins_word ? kBegins : kContinues);
  }
}

bool Sampler::is_masked(std::size_t at, std::span<const TokenId> blocked) const {
  if (kinds_[at] == kMasked) return true;
  return !blocked.empty() && kinds_[at] != kEnd &&
         std::find(blocked.begin(), blocked.end(), ids_[at]) != blocked.end();
}

std::optional<TokenId> Sampler::best(std::span<const float> logits, Choice choice, const WordTracker& words,
                                     std::span<const TokenId> blocked) const {
  TANDEM_CHECK(logits.size() == kinds_.size());
  const bool open = words.is_boundary_open();
  float best_logit = -std::numeric_limits<float>::infinity();
  std::optional<TokenId> best_id;
  for (std::size_t at = 0; at < logits.size(); ++at) {
    if (!(logits[at] > best_logit) || is_masked(at, blocked)) continue;  // NaN never wins
    if (choice != Choice::kAny && begins(at, open) != (choice == Choice::kBeginningOrEnd)) continue;
    best_logit = logits[at];
    best_id = ids_[at];
  }
  return best_id;
}

template <typename Visit>
void Sampler::for_each_stretch(std::span<const TokenId> blocked, Visit visit) const {
  std::size_t begin = 0;
  if (!blocked.empty()) {
    std::vector<TokenId> sorted(blocked.begin(), blocked.end());
    std::sort(sorted.begin(), sorted.end());
    for (const TokenId id : sorted) {
      const auto found = std::lower_bound(ids_.begin(), ids_.end(), id);
      if (found == ids_.end() || *found != id) continue;
      const auto at = static_cast<std::size_t>(found - ids_.begin());
      if (kinds_[at] == kEnd || at < begin) continue;  // the end never is blocked; twice is once
      visit(begin, at - begin);
      begin = at + 1;
    }
  }
  visit(begin, kinds_.size() - begin);
}

bool Sampler::is_boundary(std::span<const float> logits, const WordTracker& words,
                          std::span<const TokenId> blocked) const {
  TANDEM_CHECK(logits.size() == kinds_.size());
  const std::span<const std::uint8_t> kinds(kinds_);
  float highest = -std::numeric_limits<float>::infinity();
  for_each_stretch(blocked, [&](std::size_t begin, std::size_t n) {
    highest = std::max(highest, greatest(logits.subspan(begin, n), kinds.subspan(begin, n)));
  });
  ClassSums sums{};
  for_each_stretch(blocked, [&](std::size_t begin, std::size_t n) {
    add_exponentials(logits.subspan(begin, n), kinds.subspan(begin, n), highest, sums);
  });
  const double beginning = words.is_boundary_open() ? sums[kEnd] + sums[kBegins] : sums[kEnd];
  return beginning > (words.is_boundary_open() ? sums[kContinues] : sums[kBegins] + sums[kContinues]);
}

}  // namespace tandem
