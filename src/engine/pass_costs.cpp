#include "engine/pass_costs.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <optional>

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
  // Of captions, as bench_stream_speed counts them: offline a target token comes with a source row, without
  // forks it takes one and a half passes, and with them an eighth more rows in one (Gemma a twelfth, SmolLM2
  // a sixth).
  constexpr double kSourceRows = 1.0;
  constexpr double kDraftPasses = 1.5;
  constexpr double kDraftRows = kSourceRows / kDraftPasses + 1;
  constexpr double kForkRows = 9.0 / 8.0 * kDraftPasses * kDraftRows;
  // Forks must win clearly: where words have more pieces than these counts say, they take more rows and save
  // fewer passes (SmolLM2 in German: a third slower with forks, where the table saw no difference).
  constexpr double kMargin = 1.08;
  return kMargin * ms(kForkRows * n_sessions) <= kDraftPasses * ms(kDraftRows * n_sessions);
}

namespace {

/// Passes of some rows in a span of their own.
class Timer {
 public:
  /// With the least power of two that is `most_rows` or more, or what passes may have.
  Timer(Network& network, std::shared_ptr<const Adapter> adapter, int most_rows)
      : network_(network), session_{.span = {}, .adapter = std::move(adapter)} {
    int n_slots = 1;
    while (n_slots < std::min(most_rows, network.max_rows_per_pass())) n_slots *= 2;
    n_slots = std::min(n_slots, network.max_rows_per_pass());
    session_.span = network.reserve(n_slots);
    timeline_.emplace(Position::whole(0), n_slots);
  }
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  ~Timer() {
    if (most_rows() > 0) network_.release(session_.span);
  }

  int most_rows() const { return session_.span.size; }  // 0: the cache has no room

  /// The best of three: the first makes the graph.
  double ms(int n_rows) {
    constexpr int kTimes = 3;
    double best = std::numeric_limits<double>::infinity();
    for (int i = 0; i < kTimes; ++i) best = std::min(best, ms_once(n_rows));
    return best;
  }

 private:
  double ms_once(int n_rows) {
    session_.rows.clear();
    for (int i = 0; i < n_rows; ++i)
      session_.rows.push_back({.place = timeline_->add_target_row(0, RowKind::kKept), .wants_logits = true});
    session_.cached = timeline_->rows();
    const auto start = std::chrono::steady_clock::now();
    (void)network_.evaluate(std::span(&session_, 1));
    const std::chrono::duration<double, std::milli> ms = std::chrono::steady_clock::now() - start;
    timeline_->clear();
    return ms.count();
  }

  Network& network_;
  SessionRows session_;
  std::optional<Timeline> timeline_;
};

}  // namespace

std::vector<PassCost> measure_pass_costs(Network& network, std::shared_ptr<const Adapter> adapter,
                                         int most_rows) {
  Timer timer(network, std::move(adapter), most_rows);
  std::vector<PassCost> points;
  for (int n_rows = 1; n_rows <= timer.most_rows(); n_rows *= 2)
    points.push_back({.rows = n_rows, .ms = timer.ms(n_rows)});
  return points;
}

int find_wide_rows(Network& network, std::shared_ptr<const Adapter> adapter, int most_rows) {
  constexpr int kMany = 32;  // beyond, every row costs the same
  // Copies in every pass are worth a little time where they are no faster, which is with one row: what a
  // session writes is then the same whoever shares its passes.
  constexpr double kMargin = 1.15;
  constexpr int kTurns = 2;  // so that a change of the machine's pace falls on both
  Timer timer(network, std::move(adapter), std::clamp(most_rows, 1, kMany));
  int least = 0;
  for (int n_rows = timer.most_rows(); n_rows >= 1; n_rows /= 2) {
    double without = std::numeric_limits<double>::infinity(), with = without;
    for (int turn = 0; turn < kTurns; ++turn) {
      network.set_wide_rows(0);
      without = std::min(without, timer.ms(n_rows));
      network.set_wide_rows(n_rows);
      with = std::min(with, timer.ms(n_rows));
    }
    if (with > kMargin * without) break;
    least = n_rows;
  }
  network.set_wide_rows(0);
  return least;
}

}  // namespace tandem
