#include "engine/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>

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
      kinds_.push_back(Kind::kEnd);
    else if (piece.is_masked)
      kinds_.push_back(Kind::kMasked);
    else
      kinds_.push_back(piece.begins_word ? Kind::kBegins : Kind::kContinues);
  }
}

bool Sampler::is_masked(std::size_t at, std::span<const TokenId> blocked) const {
  if (kinds_[at] == Kind::kMasked) return true;
  return !blocked.empty() && kinds_[at] != Kind::kEnd &&
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

bool Sampler::is_boundary(std::span<const float> logits, const WordTracker& words,
                          std::span<const TokenId> blocked) const {
  TANDEM_CHECK(logits.size() == kinds_.size());
  const bool open = words.is_boundary_open();
  float highest = -std::numeric_limits<float>::infinity();
  for (std::size_t at = 0; at < logits.size(); ++at) {
    if (!is_masked(at, blocked)) highest = std::max(highest, logits[at]);
  }
  double beginning = 0.0;
  double continuing = 0.0;
  for (std::size_t at = 0; at < logits.size(); ++at) {
    if (is_masked(at, blocked)) continue;
    (begins(at, open) ? beginning : continuing) += std::exp(logits[at] - highest);
  }
  return beginning > continuing;
}

}  // namespace tandem
