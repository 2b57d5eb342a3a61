// Steps of several sessions with their rows in one pass: the weights, which are most of what a pass has to
// read, are read once for all of them.
#pragma once

#include <span>
#include <vector>

#include "engine/pass_costs.h"
#include "engine/pass_planner.h"
#include "engine/session_core.h"
#include "model/network.h"
#include "tandem/engine.h"

namespace tandem {

class SharedPass {
 public:
  /// `network` outlives the pass.
  SharedPass(Network& network, const PassBudget& budget) : network_(network), budget_(budget) {}

  /// One pass with what the sessions would bring, as share_rows() gives it out; the longest waiting come
  /// first, then in the order given. What a pass throws leaves its sessions in need of a reset. After the
  /// first passes nothing is allocated here.
  ///   progress  overwritten: of each session, in the same order
  void step(std::span<SessionCore* const> sessions, std::vector<Progress>& progress);

  /// What sessions that fork by cost decide by; without it they fork. Must outlive the pass.
  void set_costs(const PassCosts& costs) { costs_ = &costs; }

  /// Readings of the weights so far.
  std::int64_t n_passes() const { return n_passes_; }

 private:
  void order_by_turn(std::span<SessionCore* const> sessions);
  void place();
  void run();

  Network& network_;
  PassBudget budget_;
  const PassCosts* costs_ = nullptr;
  std::int64_t n_passes_ = 0;

  // Of the pass under way; kept for their memory.
  std::vector<SessionCore*> turn_;
  std::vector<RowRequest> requests_;
  std::vector<RowGrant> grants_;
  std::vector<SessionCore*> riders_;
  std::vector<Logits> answers_;    // of the riders
  std::vector<SessionRows> pass_;  // of the riders, and more parts behind them that an earlier pass used
};

}  // namespace tandem
