#include "engine/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "tandem/error.h"

namespace tandem {

Sampler::Sampler(std::span<const PieceInfo> pieces, std::span<const TokenId> end_ids,
                 std::span<const TokenId> kept_ids) {
  const auto kind_of = [](const PieceInfo& piece) {
    if (piece.is_end) return Kind::kEnd;
    if (piece.is_masked) return Kind::kMasked;
    return piece.begins_word ? Kind::kBegins : Kind::kContinues;
  };
  if (kept_ids.empty()) {
    for (const PieceInfo& piece : pieces) kinds_.push_back(kind_of(piece));
  } else {
    kinds_.assign(pieces.size(), Kind::kMasked);
    for (TokenId id : kept_ids) kinds_.at(index(id)) = kind_of(pieces[index(id)]);
  }
  for (TokenId id : end_ids) kinds_.at(index(id)) = Kind::kEnd;
}

std::optional<TokenId> Sampler::best(std::span<const float> logits, Choice choice,
                                     const WordTracker& words) const {
  TANDEM_CHECK(logits.size() == kinds_.size());
  const bool open = words.is_boundary_open();
  float best_logit = -std::numeric_limits<float>::infinity();
  std::optional<TokenId> best_id;
  for (std::size_t id = 0; id < logits.size(); ++id) {
    if (!(logits[id] > best_logit) || kinds_[id] == Kind::kMasked) continue;  // NaN never wins
    if (choice != Choice::kAny && begins(id, open) != (choice == Choice::kBeginningOrEnd)) continue;
    best_logit = logits[id];
    best_id = TokenId{static_cast<std::int32_t>(id)};
  }
  return best_id;
}

bool Sampler::is_boundary(std::span<const float> logits, const WordTracker& words) const {
  TANDEM_CHECK(logits.size() == kinds_.size());
  const bool open = words.is_boundary_open();
  float highest = -std::numeric_limits<float>::infinity();
  for (std::size_t id = 0; id < logits.size(); ++id) {
    if (kinds_[id] != Kind::kMasked) highest = std::max(highest, logits[id]);
  }
  double beginning = 0.0;
  double continuing = 0.0;
  for (std::size_t id = 0; id < logits.size(); ++id) {
    if (kinds_[id] == Kind::kMasked) continue;
    (begins(id, open) ? beginning : continuing) += std::exp(logits[id] - highest);
  }
  return beginning > continuing;
}

}  // namespace tandem
