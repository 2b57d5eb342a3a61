// Who sees whom (DESIGN: group paradigm; arXiv 2505.16983, Fig. 2 right).
//
//   source row i   sees source rows 0..i, never a target row
//   target row j   sees rows 0..j of its own group, and source rows 0..visible-1
//   draft row      sees the same, but no other row ever sees it
//
// A layer with a sliding window sees less: of these rows, those near the query (is_near).
//
// Inference and training both call these functions; nothing else in the project decides visibility.
#pragma once

#include <span>

#include "stream/types.h"

namespace tandem {

/// A kept row stays in the cache; a draft was evaluated under a visibility that may not be kept; a dropped
/// row's slot is free, and whatever K and V still lie there are nobody's to see.
enum class RowKind { kKept, kDraft, kDropped };

/// Where a row stands, and what it may see. `visible` counts source rows and is unused for rows of the
/// source.
struct RowPlace {
  Group group = Group::source();
  int index = 0;  // within its group, from 0
  Position position;
  Slot slot{};
  int visible = 0;
  RowKind kind = RowKind::kKept;

  bool operator==(const RowPlace&) const = default;
};

/// Position of row `index` of a group: source rows count from 0, target rows from `target_start`  // phi
Position position_of(Group group, int index, Position target_start);

/// Whether `query` may attend to `key`. A row always sees itself; drafts and dropped rows are seen by no
/// other.
bool sees(const RowPlace& query, const RowPlace& key);

/// No sliding window: every row that is seen at all.
inline constexpr int kNoWindow = 0;

/// Whether `key` lies in the sliding window of `query`: fewer than `window` positions away, in whatever group
/// and on either side.
///
///   window 3, phi 0    source   0  1  2  3  4  5  6
///                      target            3            <- sees source 1..5 of the visible, target 1..3
///
/// Distances are those that RoPE turns by, so a layer trained with a window meets no distance that it was not
/// trained for, and where positions run on (phi = S, or one group alone) this is a causal model's window.
bool is_near(const RowPlace& query, const RowPlace& key, int window);

/// Visibility of cached rows for the rows of one pass, in layers with a sliding window or without.
///   queries [n_q]  rows being evaluated
///   keys    [n_kv] rows in slot order: keys[s] is the row in slot s (see Timeline::rows)
///   out     [n_q * n_kv]  row-major by query: 0 = visible, -inf = hidden
///   window  positions, or kNoWindow
/// Cost O(n_q * n_kv), no allocation. Throws Error{kInvalidArgument} if out.size() != n_q * n_kv.
void fill_mask(std::span<const RowPlace> queries, std::span<const RowPlace> keys, std::span<float> out,
               int window = kNoWindow);

}  // namespace tandem
