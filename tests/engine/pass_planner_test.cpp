// Who gets how many rows of a pass: everyone while there is room, the longest waiting first when there is
// not.
#include "engine/pass_planner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>
#include <random>

namespace tandem {

void PrintTo(const RowGrant& grant, std::ostream* out) {
  *out << grant.source_rows << (grant.asks ? " and asks" : "");
}

namespace {

using ::testing::ElementsAre;

std::vector<RowGrant> share(const std::vector<RowRequest>& requests, const PassBudget& budget) {
  std::vector<RowGrant> grants;
  share_rows(requests, budget, grants);
  return grants;
}

constexpr RowGrant kAsks{.source_rows = 0, .asks = true};
constexpr RowGrant kNothing{};

TEST(PassPlanner, EveryQuestionRidesWhileThereIsRoom) {
  const RowRequest word{.source_rows = 2, .target_rows = 1};
  EXPECT_THAT(share({word, {.target_rows = 2}, word}, {.rows = 8, .source_rows = 1, .cheap_rows = 8}),
              ElementsAre(RowGrant{2, true}, kAsks, RowGrant{2, true}))
      << "a word's rows are no long source";
}

TEST(PassPlanner, WhoDoesNotFitWaitsAndSmallerOnesBehindMayStillRide) {
  EXPECT_THAT(share({{.target_rows = 3}, {.target_rows = 4}, {.target_rows = 2}}, {.rows = 5}),
              ElementsAre(kAsks, kNothing, kAsks));
}

TEST(PassPlanner, AQuestionGoesWholeOrNotAtAll) {
  const auto grants = share({{.target_rows = 5}, {.source_rows = 3, .target_rows = 2}}, {.rows = 8});
  EXPECT_THAT(grants, ElementsAre(kAsks, RowGrant{3, false})) << "but its source may go before it";
}

TEST(PassPlanner, ALongSourceComesInChunksWhenOthersRide) {
  const RowRequest newcomer{.source_rows = 300, .target_rows = 1};
  const PassBudget budget{.rows = 512, .source_rows = 64, .cheap_rows = 512};
  EXPECT_THAT(share({{.target_rows = 1}, newcomer, {.target_rows = 1}}, budget),
              ElementsAre(kAsks, RowGrant{64, false}, kAsks));
  EXPECT_THAT(share({newcomer, newcomer, {.target_rows = 1}}, budget),
              ElementsAre(RowGrant{64, false}, kNothing, kAsks))
      << "of all newcomers together, and words go before those behind the first";
  EXPECT_THAT(share({newcomer}, budget), ElementsAre(RowGrant{300, true})) << "alone it holds nobody up";
  EXPECT_THAT(share({newcomer, {}}, budget), ElementsAre(RowGrant{300, true}, kNothing))
      << "idle ones do not count";
}

TEST(PassPlanner, TheLongestWaitingIsServedBeforeAnyWord) {
  const RowRequest newcomer{.source_rows = 30, .target_rows = 1};
  std::vector<RowRequest> requests(8, {.target_rows = 2});
  requests.insert(requests.begin(), newcomer);
  EXPECT_EQ(share(requests, {.rows = 16, .source_rows = 12})[0], (RowGrant{12, false}));
}

TEST(PassPlanner, ReadingAheadFillsACheapPassAndNoOther) {
  const RowRequest word{.target_rows = 1, .ahead_rows = 10};
  EXPECT_THAT(share({word, word}, {.rows = 64, .source_rows = 64, .cheap_rows = 16}),
              ElementsAre(RowGrant{10, true}, RowGrant{4, true}));
  EXPECT_THAT(share({word}, {.rows = 64, .source_rows = 64, .cheap_rows = 1}), ElementsAre(kAsks));
}

TEST(PassPlanner, NoPassIsRunForReadingAheadAlone) {
  EXPECT_THAT(share({{.ahead_rows = 10}, {.ahead_rows = 1}}, {.rows = 64}), ElementsAre(kNothing, kNothing));
}

TEST(PassPlanner, WhatWillBeSeenComesBeforeWhatMayBe) {
  const RowRequest newcomer{.source_rows = 100, .target_rows = 1, .ahead_rows = 100};
  EXPECT_THAT(share({newcomer, {.target_rows = 1}}, {.rows = 512, .source_rows = 40}),
              ElementsAre(RowGrant{40, false}, kAsks));
}

TEST(PassPlanner, NeverMoreThanThereIsNorMoreThanWasAskedFor) {
  std::mt19937 random(3);
  const auto draw = [&](int most) { return std::uniform_int_distribution<int>(0, most)(random); };
  for (int round = 0; round < 5000; ++round) {
    std::vector<RowRequest> requests(static_cast<std::size_t>(1 + draw(20)));
    for (RowRequest& request : requests)
      request = {
          .source_rows = draw(3) == 0 ? draw(60) : draw(4), .target_rows = draw(3), .ahead_rows = draw(9)};
    const PassBudget budget{.rows = 6 + draw(60), .source_rows = draw(40), .cheap_rows = draw(70)};
    const auto grants = share(requests, budget);
    int n_rows = 0;
    ASSERT_EQ(grants.size(), requests.size());
    for (std::size_t i = 0; i < grants.size(); ++i) {
      ASSERT_LE(grants[i].source_rows, requests[i].source_rows + requests[i].ahead_rows);
      if (grants[i].asks) {
        ASSERT_GT(requests[i].target_rows, 0);
        ASSERT_GE(grants[i].source_rows, requests[i].source_rows) << "a question sees its source";
      }
      n_rows += grants[i].source_rows + (grants[i].asks ? requests[i].target_rows : 0);
    }
    ASSERT_LE(n_rows, budget.rows);
    const bool has_first = requests[0].source_rows + requests[0].target_rows > 0;
    ASSERT_TRUE(!has_first || !grants[0].is_empty()) << "the first in turn is served";
  }
}

}  // namespace
}  // namespace tandem
