// The timeline against a slow model of itself: random adds, keeps and drops, rows compared after each.
#include "stream/timeline.h"

#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <random>

#include "tandem/error.h"

namespace tandem {
namespace {

TEST(Timeline, SlotsAreUniqueAndPositionsRepeatAcrossGroups) {
  Timeline timeline(Position::whole(0), 8);
  const auto s0 = timeline.add_source_row();
  const auto t0 = timeline.add_target_row(1, RowKind::kKept);
  const auto s1 = timeline.add_source_row();
  EXPECT_EQ(s0.position, t0.position);
  EXPECT_EQ(s1.position, Position::whole(1));
  EXPECT_EQ(to_int(s0.slot), 0);
  EXPECT_EQ(to_int(t0.slot), 1);
  EXPECT_EQ(to_int(s1.slot), 2);
}

TEST(Timeline, AForkKeepsOneRowAndFreesTheOther) {
  Timeline timeline(Position::whole(0), 4);
  timeline.add_source_row();
  timeline.add_source_row();
  const auto old_row = timeline.add_target_row(1, RowKind::kDraft);
  const auto new_row = timeline.add_target_row(2, RowKind::kDraft);
  EXPECT_EQ(old_row.index, new_row.index);
  EXPECT_EQ(timeline.n_free_slots(), 0);
  timeline.drop(old_row.slot);
  EXPECT_EQ(timeline.keep(new_row.slot).visible, 2);
  EXPECT_EQ(timeline.n_target_rows(), 1);
  EXPECT_EQ(timeline.n_free_slots(), 1);
  EXPECT_EQ(timeline.add_target_row(2, RowKind::kKept).slot, old_row.slot) << "a freed slot is used again";
}

TEST(Timeline, WhatWouldBreakTheCacheIsCaught) {
  Timeline timeline(Position::whole(0), 2);
  const auto source = timeline.add_source_row();
  EXPECT_THROW(timeline.drop(source.slot), Error) << "source rows are never dropped";
  EXPECT_THROW(timeline.add_target_row(2, RowKind::kKept), Error) << "sees a row that is not there";
  timeline.add_target_row(1, RowKind::kKept);
  EXPECT_THROW(timeline.add_source_row(), Error) << "no slot left";
}

TEST(Timeline, RandomOperationsAgreeWithASlowModel) {
  std::mt19937 random(99);
  constexpr int kSlots = 24;
  for (int round = 0; round < 300; ++round) {
    Timeline timeline(Position::whole(3), kSlots);
    std::map<int, RowPlace> expected;  // by slot
    std::vector<Slot> kept;
    std::optional<Slot> draft;
    int n_source = 0;
    for (int step = 0; step < 60; ++step) {
      const int action = static_cast<int>(random() % 4);
      const bool has_room = static_cast<int>(expected.size()) < kSlots;
      if (action == 0 && has_room) {
        const auto row = timeline.add_source_row();
        ASSERT_TRUE(expected.emplace(to_int(row.slot), row).second)
            << "slot handed out twice, round " << round;
        EXPECT_EQ(row.index, n_source++);
      } else if (action == 1 && has_room && !draft) {
        const auto kind = random() % 2 ? RowKind::kDraft : RowKind::kKept;
        const auto row = timeline.add_target_row(n_source, kind);
        ASSERT_TRUE(expected.emplace(to_int(row.slot), row).second);
        EXPECT_EQ(row.index, static_cast<int>(kept.size()));
        EXPECT_EQ(row.position, Position::whole(3 + row.index));
        if (kind == RowKind::kDraft)
          draft = row.slot;
        else
          kept.push_back(row.slot);
      } else if (action == 2 && draft) {
        expected[to_int(*draft)] = timeline.keep(*draft);
        kept.push_back(*draft);
        draft.reset();
      } else if (action == 3 && (draft || !kept.empty())) {
        const Slot slot = draft ? *draft : kept.back();
        timeline.drop(slot);
        expected.erase(to_int(slot));
        if (draft)
          draft.reset();
        else
          kept.pop_back();
      }
      EXPECT_EQ(timeline.n_free_slots(), kSlots - static_cast<int>(expected.size()));
      std::map<int, RowPlace> found;
      for (const auto& row : timeline.rows()) {
        if (row.kind != RowKind::kDropped) found.emplace(to_int(row.slot), row);
      }
      EXPECT_EQ(found, expected) << "round " << round << " step " << step;
    }
  }
}

}  // namespace
}  // namespace tandem
