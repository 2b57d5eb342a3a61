#include "engine/pass_planner.h"

#include <algorithm>

namespace tandem {
namespace {

constexpr int kWordRows = 8;  // a word is seldom longer

bool is_light(const RowRequest& request) {
  return request.target_rows > 0 && request.source_rows <= kWordRows;
}

/// What is left of a pass while its rows are being given out.
class Room {
 public:
  Room(const PassBudget& budget, bool is_shared)
      : n_rows_(budget.rows), n_source_(is_shared ? std::max(1, budget.source_rows) : budget.rows) {}

  /// The whole question, or as much of its source as there is room for.
  RowGrant serve(const RowRequest& request) {
    const bool is_light_one = is_light(request);
    const bool fits = request.source_rows + request.target_rows <= n_rows_ &&
                      (is_light_one || request.source_rows <= n_source_);
    const bool asks = fits && request.target_rows > 0;
    const int n_source = fits ? request.source_rows : std::min({request.source_rows, n_rows_, n_source_});
    n_rows_ -= n_source + (asks ? request.target_rows : 0);
    if (!is_light_one) n_source_ -= n_source;
    return {.source_rows = n_source, .asks = asks};
  }

  int take_ahead(int n_wanted, int n_cheap) {
    const int n = std::clamp(std::min({n_wanted, n_cheap, n_rows_, n_source_}), 0, n_wanted);
    n_rows_ -= n;
    n_source_ -= n;
    return n;
  }

  int n_rows() const { return n_rows_; }

 private:
  int n_rows_;
  int n_source_;
};

}  // namespace

void share_rows(std::span<const RowRequest> requests, const PassBudget& budget,
                std::vector<RowGrant>& grants) {
  grants.assign(requests.size(), {});
  const auto n_sessions =
      std::count_if(requests.begin(), requests.end(), [](const RowRequest& r) { return !r.is_empty(); });
  Room room(budget, n_sessions > 1);
  for (std::size_t i = 0; i < requests.size(); ++i) {
    if (i == 0 || is_light(requests[i])) grants[i] = room.serve(requests[i]);
  }
  for (std::size_t i = 1; i < requests.size(); ++i) {
    if (!is_light(requests[i])) grants[i] = room.serve(requests[i]);
  }
  if (room.n_rows() == budget.rows) return;  // reading ahead alone is not worth a pass
  for (std::size_t i = 0; i < requests.size(); ++i) {
    if (grants[i].source_rows < requests[i].source_rows) continue;  // what will be seen comes first
    const int n_used = budget.rows - room.n_rows();
    grants[i].source_rows += room.take_ahead(requests[i].ahead_rows, budget.cheap_rows - n_used);
  }
}

}  // namespace tandem
