// What a pass costs by its number of rows, measured on the machine and the model at hand, and what follows
// from it.
//
// On most machines two rows cost little more than one, because a pass is mostly the reading of weights; for
// some weight types they cost twice as much, and with many sessions in a pass every row counts. So whether a
// fork (one row more) is cheaper than a draft (now and then a pass more) is asked of a table.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "model/network.h"
#include "tandem/engine.h"

namespace tandem {

class PassCosts {
 public:
  /// By rows, ascending; at least one. Throws Error{kInvalidArgument} if not so, or for a time that is not
  /// positive.
  explicit PassCosts(std::vector<PassCost> points);

  /// Milliseconds of a pass of so many rows: on the line between its neighbours, beyond the ends in
  /// proportion.
  double ms(double n_rows) const;
  /// Whether forks are cheaper than drafts when so many sessions ride together.
  bool forks_pay(int n_sessions) const;
  std::span<const PassCost> points() const { return points_; }

 private:
  std::vector<PassCost> points_;
};

/// Times passes of 1, 2, 4, ... rows, up to the first count that is `most_rows` or more, in a span of the
/// cache that is given back. Nothing if there is none to be had. Cost: three passes each.
std::vector<PassCost> measure_pass_costs(Network& network, std::shared_ptr<const Adapter> adapter,
                                         int most_rows);

/// From how many rows on products with wide copies pay here: times passes of 32, 16, 8, 4, 2 and 1 rows with
/// and without, none of twice `most_rows` or more, down to the first that is slower with, by more than copies
/// in every pass are worth. 0 if never, or without room in the cache. Leaves the network without
/// (Network::set_wide_rows). Cost: twelve passes each.
int find_wide_rows(Network& network, std::shared_ptr<const Adapter> adapter, int most_rows);

}  // namespace tandem
