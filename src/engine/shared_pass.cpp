#include "engine/shared_pass.h"

#include <algorithm>

namespace tandem {

void SharedPass::step(std::span<SessionCore* const> sessions, std::vector<Progress>& progress) {
  order_by_turn(sessions);
  const bool forks_pay = costs_ == nullptr || costs_->forks_pay(static_cast<int>(sessions.size()));
  requests_.clear();
  for (SessionCore* session : turn_) requests_.push_back(session->request(forks_pay));
  share_rows(requests_, budget_, grants_);
  place();
  if (!riders_.empty()) run();
  progress.clear();
  for (SessionCore* session : sessions) progress.push_back(session->settle());
}

/// Seldom anyone waits, and then the order is the given one.
void SharedPass::order_by_turn(std::span<SessionCore* const> sessions) {
  turn_.assign(sessions.begin(), sessions.end());
  const auto waits_longer = [](const SessionCore* a, const SessionCore* b) { return a->turn() > b->turn(); };
  // Insertion: stable, in place, and one look at each where nobody waits.
  for (std::size_t i = 1; i < turn_.size(); ++i) {
    const auto here = turn_.begin() + static_cast<std::ptrdiff_t>(i);
    std::rotate(std::upper_bound(turn_.begin(), here, *here, waits_longer), here, here + 1);
  }
}

void SharedPass::place() {
  riders_.clear();
  for (std::size_t i = 0; i < turn_.size(); ++i) {
    if (grants_[i].is_empty()) continue;
    if (pass_.size() == riders_.size()) pass_.emplace_back();
    turn_[i]->place(grants_[i], pass_[riders_.size()]);
    riders_.push_back(turn_[i]);
  }
}

void SharedPass::run() {
  const auto pass = std::span(pass_).first(riders_.size());
  ++n_passes_;
  const Logits logits = network_.evaluate(pass);
  const auto wants = [](const PassRow& row) { return row.wants_logits; };
  answers_.clear();
  std::size_t first = 0;
  for (const SessionRows& part : pass) {
    const auto n = static_cast<std::size_t>(std::count_if(part.rows.begin(), part.rows.end(), wants));
    answers_.push_back(logits.rows(first, n));
    first += n;
  }
  network_.share_out(static_cast<int>(riders_.size()), [this](int i) {
    const auto rider = static_cast<std::size_t>(i);
    riders_[rider]->absorb(answers_[rider]);
  });
}

}  // namespace tandem
