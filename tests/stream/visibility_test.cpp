// The laws of who sees whom, on random pairs (the seed is fixed and printed on failure).
#include "stream/visibility.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "stream/pair_layout.h"
#include "tandem/error.h"

namespace tandem {
namespace {

struct RandomPair {
  SourceUnits source;
  TargetShape target;
  TargetLayout layout;
  std::vector<RowPlace> rows;
};

RandomPair random_pair(std::mt19937& random) {
  const auto draw = [&](int low, int high) { return std::uniform_int_distribution<int>(low, high)(random); };
  const auto words = [&] {
    std::vector<int> rows(static_cast<std::size_t>(draw(0, 9)));
    for (int& n : rows) n = draw(1, 3);
    return rows;
  };
  RandomPair pair;
  pair.source = SourceUnits::whole(draw(0, 3), words(), draw(0, 2),
                                   draw(0, 1) ? EndMarker::kOwnUnit : EndMarker::kWithLastWord);
  pair.target = TargetShape::from_words(draw(1, 3), words(), draw(1, 2));
  pair.layout = layout_target(pair.source, pair.target, draw(0, 4) ? WaitK(draw(1, 9)) : WaitK::unlimited());
  pair.rows = place_pair(pair.source.n_rows(), std::vector{pair.layout.visible, pair.layout.visible},
                         Position::from_doubled(draw(0, 40)));
  return pair;
}

TEST(Visibility, SourceNeverSeesTargetAndTargetsNeverSeeEachOther) {
  std::mt19937 random(20250522);
  for (int round = 0; round < 200; ++round) {
    const auto pair = random_pair(random);
    for (const auto& query : pair.rows) {
      for (const auto& key : pair.rows) {
        if (query.group == key.group || key.group.is_source()) continue;
        EXPECT_FALSE(sees(query, key)) << "round " << round;
      }
    }
  }
}

TEST(Visibility, EachRowSeesItselfAndAPrefixOfItsGroup) {
  std::mt19937 random(16983);
  for (int round = 0; round < 200; ++round) {
    const auto pair = random_pair(random);
    for (const auto& query : pair.rows) {
      for (const auto& key : pair.rows) {
        if (query.group != key.group) continue;
        EXPECT_EQ(sees(query, key), key.index <= query.index) << "round " << round;
      }
    }
  }
}

TEST(Visibility, NeverShrinksAlongTheTargetAndEndsAtTheWholeSource) {
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    const auto pair = random_pair(random);
    const auto& visible = pair.layout.visible;
    for (std::size_t row = 0; row < visible.size(); ++row) {
      EXPECT_LE(pair.layout.old_visible[row], visible[row]);
      if (row > 0) {
        EXPECT_LE(visible[row - 1], visible[row]);
      }
      EXPECT_LE(visible[row], pair.source.n_rows());
    }
    for (std::size_t word = 1; word < pair.layout.delay_for_word.size(); ++word) {
      EXPECT_LE(pair.layout.delay_for_word[word - 1], pair.layout.delay_for_word[word]);
      EXPECT_LE(pair.layout.delay_for_word[word], pair.source.n_words());
    }
  }
}

TEST(Visibility, DraftAndDroppedRowsAreSeenByNoOther) {
  const RowPlace source{.group = Group::source(), .index = 0, .slot = Slot{0}};
  const RowPlace draft{
      .group = Group::target(), .index = 0, .slot = Slot{1}, .visible = 1, .kind = RowKind::kDraft};
  const RowPlace twin{
      .group = Group::target(), .index = 0, .slot = Slot{2}, .visible = 1, .kind = RowKind::kDraft};
  const RowPlace later{.group = Group::target(), .index = 1, .slot = Slot{3}, .visible = 1};
  EXPECT_TRUE(sees(draft, draft));
  EXPECT_TRUE(sees(draft, source));
  EXPECT_FALSE(sees(draft, twin));
  EXPECT_FALSE(sees(later, draft));
  RowPlace dropped = source;
  dropped.kind = RowKind::kDropped;
  EXPECT_FALSE(sees(later, dropped));
}

/// What a layer sees: the mask of the pair's rows over themselves.
std::vector<float> mask_of(const std::vector<RowPlace>& rows, int window) {
  std::vector<float> mask(rows.size() * rows.size());
  fill_mask(rows, rows, mask, window);
  return mask;
}

TEST(Window, IsACausalModelsWindowWherePositionsRunOn) {
  std::mt19937 random(512);
  for (int round = 0; round < 100; ++round) {
    const int n_source = 1 + static_cast<int>(random() % 20);
    const std::vector<int> visible(1 + random() % 20, n_source);  // k = inf
    const auto rows =
        place_pair(n_source, std::vector<std::vector<int>>{visible}, Position::whole(n_source));  // phi = S
    const int window = 1 + static_cast<int>(random() % 25);
    const auto mask = mask_of(rows, window);
    for (std::size_t q = 0; q < rows.size(); ++q) {
      for (std::size_t key = 0; key < rows.size(); ++key) {
        const bool is_seen = key <= q && q - key < static_cast<std::size_t>(window);
        EXPECT_EQ(mask[q * rows.size() + key] == 0.0F, is_seen)
            << "round " << round << ", window " << window << ": " << q << " -> " << key;
      }
    }
  }
}

TEST(Window, OnlyTakesAwayAndNeverTheRowItself) {
  std::mt19937 random(1024);
  for (int round = 0; round < 100; ++round) {
    const auto pair = random_pair(random);
    const auto all = mask_of(pair.rows, kNoWindow);
    auto narrower = mask_of(pair.rows, 1);
    for (int window = 2; window < 9; ++window) {
      const auto mask = mask_of(pair.rows, window);
      for (std::size_t i = 0; i < mask.size(); ++i) {
        EXPECT_LE(narrower[i], mask[i]) << "a wider window sees no less";
        EXPECT_LE(mask[i], all[i]);
      }
      for (std::size_t row = 0; row < pair.rows.size(); ++row)
        EXPECT_EQ(mask[row * pair.rows.size() + row], 0.0F);
      narrower = mask;
    }
    EXPECT_EQ(mask_of(pair.rows, 1 << 20), all) << "a window longer than the text hides nothing";
  }
}

TEST(Window, OfATargetStandsAroundItsPlaceInTheSource) {
  const std::vector<int> visible(8, 7);
  const auto rows = place_pair(7, std::vector<std::vector<int>>{visible}, Position());
  const auto mask = mask_of(rows, 3);
  std::vector<std::size_t> seen;  // by target row 3: rows 7.. are the target's
  for (std::size_t key = 0; key < rows.size(); ++key) {
    if (mask[10 * rows.size() + key] == 0.0F) seen.push_back(key);
  }
  EXPECT_EQ(seen, (std::vector<std::size_t>{1, 2, 3, 4, 5, 8, 9, 10}));
}

TEST(Window, CountsWholePositionsFromHalfOnes) {
  const RowPlace source{
      .group = Group::source(), .index = 4, .position = Position::whole(4), .slot = Slot{0}};
  const RowPlace target{
      .group = Group::target(), .index = 6, .position = Position::from_doubled(13), .slot = Slot{1}};
  EXPECT_TRUE(is_near(target, source, 3));  // 2.5 away
  EXPECT_FALSE(is_near(target, source, 2));
}

TEST(Visibility, MaskOfTheWrongSizeIsAnError) {
  const std::vector<RowPlace> rows(3);
  std::vector<float> mask(8);
  EXPECT_THROW(fill_mask(rows, rows, mask), Error);
}

TEST(WaitK, RejectsLagsBelowOne) {
  EXPECT_THROW(WaitK(0), Error);
  EXPECT_THROW(WaitK(-3), Error);
}

TEST(WaitK, LargeLagsDoNotOverflow) {
  constexpr int kHuge = std::numeric_limits<int>::max() - 1;
  EXPECT_EQ(WaitK(kHuge).units_for_word(kHuge, 5), 5);
  EXPECT_EQ(WaitK::unlimited().units_for_word(3, kHuge), kHuge);
}

TEST(PairLayout, ATargetWithoutPrefixIsAnError) {
  EXPECT_THROW(layout_target(SourceUnits(1), TargetShape::from_words(0, std::vector{1}), WaitK(1)), Error);
}

TEST(PairLayout, OldVisibilityDiffersOnlyWhereAWordEnds) {
  const auto source = SourceUnits::whole(2, std::vector{1, 2, 1}, 1, EndMarker::kWithLastWord);
  const auto layout = layout_target(source, TargetShape::from_words(1, std::vector{1, 2, 1}), WaitK(1));
  EXPECT_EQ(layout.visible, (std::vector{3, 5, 5, 7, 7}));
  EXPECT_EQ(layout.old_visible, (std::vector{3, 3, 5, 5, 7}));
}

}  // namespace
}  // namespace tandem
