#include "bench/dictation.h"

#include <algorithm>

#include "tandem/error.h"
#include "text/spelling.h"

namespace tandem::bench {

namespace {

constexpr float kCertain = 1e4F;  // above any logit, and no other token has a share beside it

}  // namespace

std::vector<std::vector<TokenId>> tokenize_targets(const StreamSetup& setup, std::span<const Words> lines) {
  std::optional<Speller> speller;
  if (!setup.head().ids.empty()) speller.emplace(*setup.model->vocabulary(), setup.head().ids);
  std::vector<std::vector<TokenId>> targets;
  for (const Words& words : lines) {
    std::vector<TokenId> target;
    for (const auto& word : tokenize_words(setup, words))
      target.insert(target.end(), word.begin(), word.end());
    const auto spelt = speller ? speller->spell(target) : target;
    if (!spelt)
      throw Error(ErrorCode::kInvalidArgument, "--target: a line cannot be spelt with the ids that are kept");
    targets.push_back(*spelt);
  }
  return targets;
}

DictatingNetwork::DictatingNetwork(Network& network, const StreamSetup& setup)
    : network_(network), setup_(setup) {}

void DictatingNetwork::dictate(std::span<const TokenId> target) {
  is_dictating_ = true;
  target_ = target;
}

Logits DictatingNetwork::evaluate(std::span<const SessionRows> pass) {
  const Logits logits = network_.evaluate(pass);
  if (!is_dictating_) return logits;
  values_.resize(logits.all.size());
  rows_.clear();
  for (const SessionRows& session : pass) {
    for (const PassRow& row : session.rows) {
      if (!row.wants_logits) continue;
      const auto spoken = logits.all[rows_.size()];
      std::vector<float>& dictated = values_[rows_.size()];
      dictated.assign(spoken.begin(), spoken.end());
      dictated[place_in_head(token_after(row.place))] = kCertain;
      rows_.emplace_back(dictated);
    }
  }
  return {rows_};
}

std::size_t DictatingNetwork::place_in_head(TokenId id) const {
  const auto& ids = setup_.head().ids;
  if (ids.empty()) return static_cast<std::size_t>(to_int(id));
  return static_cast<std::size_t>(std::lower_bound(ids.begin(), ids.end(), id) - ids.begin());
}

/// The last row of the target's prefix is followed by the first token.
TokenId DictatingNetwork::token_after(const RowPlace& row) const {
  const auto at = static_cast<std::size_t>(row.index + 1) - setup_.prompt.target_prefix.size();
  return at < target_.size() ? target_[at] : setup_.prompt.end.front();
}

}  // namespace tandem::bench
