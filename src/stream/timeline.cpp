#include "stream/timeline.h"

#include <algorithm>

#include "tandem/error.h"

namespace tandem {

Timeline::Timeline(Position target_start, int n_slots, int n_targets)
    : target_start_(target_start), n_slots_(n_slots), n_target_rows_(static_cast<std::size_t>(n_targets), 0) {
  TANDEM_CHECK(n_slots >= 0 && n_targets >= 1);
  rows_.reserve(static_cast<std::size_t>(n_slots));
}

RowPlace Timeline::add_source_row() {
  RowPlace row;
  row.group = Group::source();
  row.index = n_source_rows_++;
  row.position = position_of(row.group, row.index, target_start_);
  return place(row);
}

RowPlace Timeline::add_target_row(int visible, RowKind kind, int target) {
  TANDEM_CHECK(kind != RowKind::kDropped && visible >= 0 && visible <= n_source_rows_);
  int& n_kept = n_target_rows_.at(static_cast<std::size_t>(target));
  RowPlace row;
  row.group = Group::target(target);
  row.index = n_kept;
  row.position = position_of(row.group, row.index, target_start_);
  row.visible = visible;
  row.kind = kind;
  if (kind == RowKind::kKept) ++n_kept;
  return place(row);
}

RowPlace Timeline::keep(Slot slot) {
  RowPlace& row = at(slot);
  int& n_kept = n_target_rows_.at(static_cast<std::size_t>(row.group.target_index()));
  TANDEM_CHECK(row.kind == RowKind::kDraft && row.index == n_kept);
  row.kind = RowKind::kKept;
  ++n_kept;
  return row;
}

void Timeline::drop(Slot slot) {
  RowPlace& row = at(slot);
  TANDEM_CHECK(!row.group.is_source() && row.kind != RowKind::kDropped);
  if (row.kind == RowKind::kKept) {
    int& n_kept = n_target_rows_.at(static_cast<std::size_t>(row.group.target_index()));
    TANDEM_CHECK(row.index == n_kept - 1);
    --n_kept;
  }
  row.kind = RowKind::kDropped;
  --n_occupied_;
  while (!rows_.empty() && rows_.back().kind == RowKind::kDropped) rows_.pop_back();
}

void Timeline::clear() {
  rows_.clear();
  n_occupied_ = 0;
  n_source_rows_ = 0;
  std::fill(n_target_rows_.begin(), n_target_rows_.end(), 0);
}

RowPlace Timeline::place(RowPlace row) {
  TANDEM_CHECK(n_occupied_ < n_slots_);
  ++n_occupied_;
  // Free slots are few (a dropped draft or two), and only then is there anything to search for.
  auto free = rows_.end();
  if (n_occupied_ <= static_cast<int>(rows_.size())) {
    free = std::find_if(rows_.begin(), rows_.end(),
                        [](const RowPlace& r) { return r.kind == RowKind::kDropped; });
  }
  row.slot = Slot{static_cast<std::int32_t>(free - rows_.begin())};
  if (free == rows_.end()) {
    rows_.push_back(row);
  } else {
    *free = row;
  }
  return row;
}

RowPlace& Timeline::at(Slot slot) {
  return rows_.at(static_cast<std::size_t>(to_int(slot)));
}

}  // namespace tandem
