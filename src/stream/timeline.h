// One session's rows: which there are, in which slots, and what each may see.
//
// The timeline is the only place that hands out slots. It does no arithmetic on tokens and knows no policy:
// the session says "a source row", "a target row that sees so many", "drop that one". Rows of all groups
// share one contiguous span of slots, in whatever order they were written; the mask alone (visibility.h)
// tells them apart.
//
//   slot      0    1    2    3    4    5    6
//   row       p0   p1   w0   a0   w1   t0   (free)      <- rows(): groups mixed, order of arrival
//   position  0    1    2    phi  3    phi+1
//
// Kept source rows are never dropped: they are evaluated once. Target rows are only ever dropped from the
// end.
#pragma once

#include <span>
#include <vector>

#include "stream/visibility.h"

namespace tandem {

class Timeline {
 public:
  /// `n_slots` is the size of the session's span; `target_start` is phi.
  Timeline(Position target_start, int n_slots, int n_targets = 1);

  /// Slots that are still free. Adding a row without one is a bug of the caller (TANDEM_CHECK).
  int n_free_slots() const { return n_slots_ - n_occupied_; }
  int n_occupied_slots() const { return n_occupied_; }

  RowPlace add_source_row();
  /// The next row of a target group, which sees `visible` source rows. Several drafts may stand at the same
  /// index; a kept row takes the index for itself.
  RowPlace add_target_row(int visible, RowKind kind, int target = 0);

  /// Makes a draft the kept row of its index. All other drafts of that index must be dropped by then or
  /// later.
  RowPlace keep(Slot slot);
  /// Frees the slot of a draft, or of the last kept row of a target group.
  void drop(Slot slot);

  int n_source_rows() const { return n_source_rows_; }
  int n_targets() const { return static_cast<int>(n_target_rows_.size()); }
  int n_target_rows(int target = 0) const { return n_target_rows_[static_cast<std::size_t>(target)]; }
  /// Rows in slot order, dropped ones among them, up to the last occupied slot: the keys of the mask.
  std::span<const RowPlace> rows() const { return rows_; }

  /// Forgets every row.
  void clear();

 private:
  RowPlace place(RowPlace row);
  RowPlace& at(Slot slot);

  Position target_start_;  // phi
  int n_slots_;
  int n_occupied_ = 0;
  int n_source_rows_ = 0;
  std::vector<int> n_target_rows_;  // kept rows per target group
  std::vector<RowPlace> rows_;      // by slot
};

}  // namespace tandem
