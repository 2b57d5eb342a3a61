#include "engine/pass_costs.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <limits>

#include "stream/timeline.h"
#include "tandem/error.h"

namespace tandem {

PassCosts::PassCosts(std::vector<PassCost> points) : points_(std::move(points)) {
  if (points_.empty())
    throw Error(ErrorCode::kInvalidArgument, "pass costs: expected at least one, got none");
  int n_rows = 0;
  for (const PassCost& point : points_) {
    if (point.rows <= n_rows || !(point.ms > 0)) {
      throw Error(ErrorCode::kInvalidArgument,
                  fmt::format("pass costs: expected more than {} rows and more than 0 ms, got {} and {}",
                              n_rows, point.rows, point.ms));
    }
    n_rows = point.rows;
  }
}

double PassCosts::ms(double n_rows) const {
  const PassCost& first = points_.front();
  const PassCost& last = points_.back();
  if (n_rows <= first.rows) return first.ms;
  if (n_rows >= last.rows) return last.ms * n_rows / last.rows;
  const auto above =
      std::find_if(points_.begin(), points_.end(), [&](const PassCost& p) { return p.rows >= n_rows; });
  const auto below = above - 1;
  const double share = (n_rows - below->rows) / (above->rows - below->rows);
  return below->ms + share * (above->ms - below->ms);
}

bool PassCosts::forks_pay(int n_sessions) const {
  // Of captions, as bench_stream_speed counts them: offline a target token comes with a source row, and
  // without forks it takes one and a half passes.
  constexpr double kSourceRows = 1.0;
  constexpr double kDraftPasses = 1.5;
  constexpr double kForkRows = kSourceRows + 2;
  constexpr double kDraftRows = kSourceRows / kDraftPasses + 1;
  return ms(kForkRows * n_sessions) <= kDraftPasses * ms(kDraftRows * n_sessions);
}

namespace {

double time_of(Network& network, SessionRows& session, Timeline& timeline, int n_rows) {
  session.rows.clear();
  for (int i = 0; i < n_rows; ++i)
    session.rows.push_back({.place = timeline.add_target_row(0, RowKind::kKept), .wants_logits = true});
  session.cached = timeline.rows();
  const auto start = std::chrono::steady_clock::now();
  (void)network.evaluate(std::span(&session, 1));
  const std::chrono::duration<double, std::milli> ms = std::chrono::steady_clock::now() - start;
  timeline.clear();
  return ms.count();
}

}  // namespace

std::vector<PassCost> measure_pass_costs(Network& network, std::shared_ptr<const Adapter> adapter,
                                         int most_rows) {
  int n_slots = 1;
  while (n_slots < std::min(most_rows, network.max_rows_per_pass())) n_slots *= 2;
  n_slots = std::min(n_slots, network.max_rows_per_pass());
  SessionRows session{.span = network.reserve(n_slots), .adapter = std::move(adapter)};
  std::vector<PassCost> points;
  if (session.span.size == 0) return points;
  Timeline timeline(Position::whole(0), n_slots);
  for (int n_rows = 1; n_rows <= n_slots; n_rows *= 2) {
    constexpr int kTimes = 3;  // the first builds the graph
    double best = std::numeric_limits<double>::infinity();
    for (int i = 0; i < kTimes; ++i) best = std::min(best, time_of(network, session, timeline, n_rows));
    points.push_back({.rows = n_rows, .ms = best});
  }
  network.release(session.span);
  return points;
}

}  // namespace tandem
