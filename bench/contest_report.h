// A contest that is over, as a table for people and as objects for scripts. The first two contestants are
// what all are set against.
#pragma once

#include <boost/json.hpp>
#include <span>
#include <string>

#include "bench/contest.h"

namespace tandem::bench {

std::string to_table(std::span<const Contestant> contestants);

/// "name": the median, with "name_min" and "name_max" beside it.
void add_spread(boost::json::object& object, const std::string& name, const Spread& spread);

/// What `contestant` came to. The keys are a contract with scripts/results.
boost::json::object to_json(const Contestant& contestant, std::span<const Contestant> contestants);

}  // namespace tandem::bench
