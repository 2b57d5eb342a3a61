#include "stream/types.h"

#include <gtest/gtest.h>

namespace tandem {
namespace {

TEST(Position, HoldsHalvesAndMovesByWholeRows) {
  const Position half = Position::from_doubled(1);
  EXPECT_FALSE(half.is_whole());
  EXPECT_DOUBLE_EQ(half.plus(3).value(), 3.5);
  EXPECT_EQ(Position::whole(2).plus(1), Position::whole(3));
  EXPECT_LT(half, Position::whole(1));
}

TEST(Group, TargetsAreNotTheSource) {
  EXPECT_TRUE(Group::source().is_source());
  EXPECT_FALSE(Group::target(0).is_source());
  EXPECT_NE(Group::target(0), Group::target(1));
  EXPECT_EQ(Group::target(1).target_index(), 1);
}

}  // namespace
}  // namespace tandem
