// Batches: rows, labels and masks against the functions that inference uses, and the draws.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "stream/pair_layout.h"
#include "train/batching.h"
#include "train/collate.h"
#include "training_examples.h"

namespace tandem {
namespace {

using testing::ElementsAre;

std::vector<int> visible_of(const LaidOutExample& example) {
  std::vector<int> out;
  for (const RowPlace& row : example.rows) {
    if (!row.group.is_source() && row.kind == RowKind::kKept) out.push_back(row.visible);
  }
  return out;
}

TrainConfig config_of(std::vector<WaitK> ks, BoundaryRows boundary) {
  TrainConfig config;
  config.ks = std::move(ks);
  config.boundary = boundary;
  return config;
}

// DESIGN's worked example, k = 1; the suffix with the last word or as a unit of its own.
TEST(Collate, WorkedExampleUnderBothSuffixes) {
  const Collator collator(worked_prompts(), config_of({WaitK(1)}, BoundaryRows::kReference));
  const Example example = worked_example();
  std::set<std::vector<int>> seen;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    Random random{seed};
    const LaidOutExample laid_out = collator.lay_out(example, random);
    EXPECT_THAT(laid_out.tokens, ElementsAre(1, 2, 10, 11, 12, 13, 3, 4, 20, 21, 22, 23));
    EXPECT_THAT(laid_out.labels, ElementsAre(-1, -1, -1, -1, -1, -1, -1, 20, 21, 22, 23, 5));
    seen.insert(visible_of(laid_out));
  }
  EXPECT_THAT(seen, ElementsAre(std::vector{3, 5, 5, 6, 7}, std::vector{3, 5, 5, 7, 7}));
}

TEST(Collate, MaskAndPositionsAreThoseOfStream) {
  const Collator collator(worked_prompts(), config_of({WaitK(1), WaitK(2)}, BoundaryRows::kBoth));
  const std::vector<Example> examples = random_examples(7, 11);
  std::vector<const Example*> pointers;
  for (const Example& example : examples) pointers.push_back(&example);
  Random random{3}, again{3};
  const Batch batch = collator.collate(pointers, random);

  std::size_t first_row = 0;
  for (std::size_t sequence = 0; sequence < examples.size(); ++sequence) {
    const LaidOutExample laid_out = collator.lay_out(examples[sequence], again);
    const std::size_t n = laid_out.rows.size(), places = static_cast<std::size_t>(batch.n_places);
    std::vector<float> mask(n * n);
    fill_mask(laid_out.rows, laid_out.rows, mask);
    for (std::size_t query = 0; query < places; ++query) {
      for (std::size_t key = 0; key < places; ++key) {
        const bool hidden = query >= n || key >= n || std::isinf(mask[query * n + key]);
        EXPECT_EQ(std::isinf(batch.mask[(sequence * places + query) * places + key]), hidden);
      }
    }
    for (std::size_t row = 0; row < n; ++row) {
      const RowPlace& place = laid_out.rows[row];
      EXPECT_EQ(batch.doubled_position[first_row + row],
                position_of(place.group, place.index, Position::whole(0)).doubled());
      EXPECT_EQ(batch.place[first_row + row], static_cast<int>(sequence * places + row));
      EXPECT_EQ(batch.tokens[first_row + row], laid_out.tokens[row]);
    }
    first_row += n;
  }
  EXPECT_EQ(first_row, batch.n_rows());
}

// Two targets of one source: each sees the source and itself, never the other.
TEST(Collate, TargetsOfOneSourceNeverSeeEachOther) {
  const Collator collator(worked_prompts(), config_of({WaitK::unlimited()}, BoundaryRows::kReference));
  Example example = worked_example();
  example.targets.push_back(example.targets[0]);
  example.targets[1].language = 1;
  Random random{1};
  const LaidOutExample laid_out = collator.lay_out(example, random);
  ASSERT_EQ(laid_out.rows.size(), 7U + 5U + 5U);
  EXPECT_EQ(laid_out.tokens[12], 6);  // the second language's prefix
  for (const RowPlace& query : laid_out.rows) {
    for (const RowPlace& key : laid_out.rows) {
      if (!query.group.is_source() && !key.group.is_source() && query.group != key.group) {
        EXPECT_FALSE(sees(query, key));
      }
    }
  }
}

TEST(Collate, DraftsRepeatTheLastRowOfAWordUnderItsOldVisibility) {
  const Collator collator(worked_prompts(), config_of({WaitK(1)}, BoundaryRows::kBoth));
  Random random{0};
  const LaidOutExample laid_out = collator.lay_out(worked_example(), random);
  std::vector<int> indices;
  for (std::size_t row = 12; row < laid_out.rows.size(); ++row) {
    const RowPlace& draft = laid_out.rows[row];
    ASSERT_EQ(draft.kind, RowKind::kDraft);
    const std::size_t kept = 7 + static_cast<std::size_t>(draft.index);
    EXPECT_EQ(draft.position, laid_out.rows[kept].position);
    EXPECT_EQ(laid_out.tokens[row], laid_out.tokens[kept]);
    EXPECT_EQ(laid_out.labels[row], laid_out.labels[kept]);
    EXPECT_LT(draft.visible, laid_out.rows[kept].visible);
    for (std::size_t other = 0; other < laid_out.rows.size(); ++other) {
      EXPECT_EQ(sees(laid_out.rows[other], draft), other == row);
    }
    indices.push_back(draft.index);
  }
  // t1 and t2b end words; t3's visibility only grows when the suffix is a unit of its own.
  EXPECT_THAT(indices, testing::AnyOf(ElementsAre(1, 3), ElementsAre(1, 3, 4)));
}

TEST(Collate, DrawnBoundariesTakeEitherVisibilityAboutHalfTheTime) {
  const Collator collator(worked_prompts(), config_of({WaitK(1)}, BoundaryRows::kDraw));
  int n_old = 0;
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    Random random{seed};
    const std::vector<int> visible = visible_of(collator.lay_out(worked_example(), random));
    EXPECT_EQ(visible[0], 3);  // the prefix row has one visibility only
    EXPECT_EQ(visible[2], 5);  // so has a row within a word
    n_old += visible[1] == 3 ? 1 : 0;
  }
  EXPECT_NEAR(n_old, 200, 50);
}

TEST(Collate, KsAreDrawnByWeight) {
  TrainConfig config = config_of({WaitK(1), WaitK(3), WaitK::unlimited()}, BoundaryRows::kReference);
  config.k_weights = {1, 0, 3};
  const Collator collator(worked_prompts(), config);
  int n_first = 0, n_batch = 0;
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    Random random{seed};
    const int visible = visible_of(collator.lay_out(worked_example(), random))[0];
    n_first += visible == 3 ? 1 : 0;
    n_batch += visible == 7 ? 1 : 0;
  }
  EXPECT_EQ(n_first + n_batch, 400);
  EXPECT_NEAR(n_first, 100, 40);
}

TEST(Batching, BatchesAreFullAndEveryExampleComesOncePerEpoch) {
  std::vector<int> rows, sets;
  Random random{5};
  for (int i = 0; i < 2000; ++i) {
    rows.push_back(10 + static_cast<int>(random.below(100)));
    sets.push_back(0);
  }
  const auto plan = plan_epoch(rows, sets, {{}, 1000, 1}, 0);
  std::multiset<int> seen;
  std::size_t full = 0;
  for (const auto& batch : plan) {
    int n_rows = 0;
    for (const int i : batch) {
      seen.insert(i);
      n_rows += rows[static_cast<std::size_t>(i)];
    }
    EXPECT_LE(n_rows, 1000);
    full += n_rows > 850 ? 1U : 0U;
  }
  EXPECT_EQ(seen.size(), 2000U);
  EXPECT_EQ(std::set<int>(seen.begin(), seen.end()).size(), 2000U);
  EXPECT_GT(full, plan.size() * 9 / 10);
}

TEST(Batching, SetWeightsAreKeptInExpectation) {
  std::vector<int> rows(3000, 10), sets;
  for (int i = 0; i < 3000; ++i) sets.push_back(i % 3);
  const auto plan = plan_epoch(rows, sets, {{2.0, 0.25, 0.0}, 100, 1}, 4);
  std::vector<int> drawn(3, 0);
  for (const auto& batch : plan) {
    for (const int i : batch) ++drawn[static_cast<std::size_t>(i % 3)];
  }
  EXPECT_EQ(drawn[0], 2000);
  EXPECT_NEAR(drawn[1], 250, 60);
  EXPECT_EQ(drawn[2], 0);
}

TEST(Batching, SkippingEqualsReading) {
  std::vector<int> rows, sets(100, 0);
  for (int i = 0; i < 100; ++i) rows.push_back(5 + i % 7);
  BatchStream read(rows, sets, {{}, 40, 9}), skipped(rows, sets, {{}, 40, 9});
  for (int i = 0; i < 57; ++i) (void)read.next();
  skipped.skip(57);
  for (int i = 0; i < 40; ++i) EXPECT_EQ(read.next(), skipped.next());
  EXPECT_EQ(read.epochs(), skipped.epochs());
}

}  // namespace
}  // namespace tandem
