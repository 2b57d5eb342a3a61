#include "bench/contest_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace tandem::bench {

namespace {

/// Lines of the last round that read as they should. Nothing where no text is compared.
std::optional<int> n_same_texts(const Contestant& contestant, std::span<const Contestant> contestants) {
  if (contestant.text_of.empty()) return std::nullopt;
  const auto other = std::find_if(contestants.begin(), contestants.end(),
                                  [&](const Contestant& each) { return each.key == contestant.text_of; });
  TANDEM_CHECK(other != contestants.end());
  const auto& texts = contestant.rounds.back().texts;
  const auto& expected = other->rounds.back().texts;
  TANDEM_CHECK(texts.size() == expected.size());
  int n_same = 0;
  for (std::size_t line = 0; line < texts.size(); ++line) n_same += texts[line] == expected[line] ? 1 : 0;
  return n_same;
}

std::string table_row(const Contestant& contestant, std::span<const Contestant> contestants) {
  const Sample& last = contestant.rounds.back();
  const Spread ms = ms_per_token(contestant);
  const auto n_same = n_same_texts(contestant, contestants);
  return fmt::format("{:<28} {:>8.3f} {:>17} {:>12.2f} {:>12.2f} {:>9.1f} {:>12.3f} {:>10.2f} {:>9}\n",
                     contestant.name, ms.median, fmt::format("({:.3f} - {:.3f})", ms.least, ms.most),
                     times(contestant, contestants[0]).median, times(contestant, contestants[1]).median,
                     1e3 / ms.median, last.per_token(last.n_passes), last.per_token(last.n_rows),
                     n_same ? fmt::format("{}/{}", *n_same, last.texts.size()) : "-");
}

}  // namespace

std::string to_table(std::span<const Contestant> contestants) {
  std::string table =
      fmt::format("{:<28} {:>8} {:>17} {:>12} {:>12} {:>9} {:>12} {:>10} {:>9}\n", "", "ms/token",
                  "(min - max)", "/ " + contestants[0].key, "/ " + contestants[1].key, "tokens/s",
                  "passes/token", "rows/token", "same text");
  for (const Contestant& contestant : contestants) table += table_row(contestant, contestants);
  return table;
}

void add_spread(boost::json::object& object, const std::string& name, const Spread& spread) {
  object[name] = spread.median;
  object[name + "_min"] = spread.least;
  object[name + "_max"] = spread.most;
}

boost::json::object to_json(const Contestant& contestant, std::span<const Contestant> contestants) {
  const Sample& last = contestant.rounds.back();
  boost::json::object object;
  object["contestant"] = contestant.key;
  object["name"] = contestant.name;
  object["tokens"] = last.n_tokens;
  object["passes"] = last.n_passes;
  object["passes_per_token"] = last.per_token(last.n_passes);
  object["rows_per_token"] = last.per_token(last.n_rows);
  add_spread(object, "ms_per_token", ms_per_token(contestant));
  add_spread(object, "tokens_per_second", over_rounds(contestant, [&](std::size_t round) {
               return 1e3 / contestant.rounds[round].ms_per_token();
             }));
  add_spread(object, "times_" + contestants[0].key, times(contestant, contestants[0]));
  add_spread(object, "times_" + contestants[1].key, times(contestant, contestants[1]));
  if (const auto n_same = n_same_texts(contestant, contestants)) {
    object["lines"] = last.texts.size();
    object["same_texts"] = *n_same;
  }
  return object;
}

}  // namespace tandem::bench
