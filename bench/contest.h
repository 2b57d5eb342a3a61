// A contest: contestants do the same work in turns, round after round, so that a change of the machine's pace
// falls on all of them. Figures are medians over the rounds with the least and the most beside them; ratios
// are taken within each round, of two contestants that ran one after the other.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "eval/spread.h"
#include "tandem/error.h"

namespace tandem::bench {

/// What one round of one contestant came to.
struct Sample {
  std::int64_t n_tokens = 0;  // of the target, ends among them
  std::int64_t n_passes = 0;
  std::int64_t n_rows = 0;  // that went through the weights
  double seconds = 0;
  std::vector<std::string> texts = {};  // per line; none of a contestant that is told how much to write

  double per_token(std::int64_t count) const {
    return static_cast<double>(count) / static_cast<double>(n_tokens);
  }
  double ms_per_token() const { return 1e3 * seconds / static_cast<double>(n_tokens); }
};

struct Contestant {
  std::string key;   // for scripts
  std::string name;  // for people
  std::function<Sample()> run;
  std::vector<Sample> rounds = {};
  std::string text_of = {};  // key of the contestant whose text it should write; empty: none is compared
};

enum class WarmUp { kNo, kYes };

/// `n_rounds` rounds, after one that is not measured if they are to warm up.
inline void take_turns(std::vector<Contestant>& contestants, int n_rounds, WarmUp warm_up) {
  for (int round = warm_up == WarmUp::kYes ? -1 : 0; round < n_rounds; ++round) {
    for (Contestant& contestant : contestants) {
      Sample sample = contestant.run();
      if (round >= 0) contestant.rounds.push_back(std::move(sample));
    }
  }
}

/// `figure_of(round)` over the rounds of a contest.
template <typename FigureOf>
Spread over_rounds(const Contestant& contestant, FigureOf figure_of) {
  std::vector<double> figures;
  for (std::size_t round = 0; round < contestant.rounds.size(); ++round) figures.push_back(figure_of(round));
  const auto spread = spread_of(std::move(figures));
  TANDEM_CHECK(spread.has_value());
  return *spread;
}

inline Spread ms_per_token(const Contestant& contestant) {
  return over_rounds(contestant, [&](std::size_t round) { return contestant.rounds[round].ms_per_token(); });
}

/// How many times the time of `yardstick` a target token takes.
inline Spread times(const Contestant& contestant, const Contestant& yardstick) {
  return over_rounds(contestant, [&](std::size_t round) {
    return contestant.rounds[round].ms_per_token() / yardstick.rounds[round].ms_per_token();
  });
}

}  // namespace tandem::bench
