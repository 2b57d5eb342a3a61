// What is blocked for one choice is neither written nor summed; the end never is blocked.
#include "engine/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "support/stub_network.h"

namespace tandem {
namespace {

class SamplerTest : public ::testing::Test {
 protected:
  SamplerTest() { words_.accept(TokenId{3}); }  // " d": a word has begun

  std::vector<PieceInfo> pieces_ =
      testing::StubNetwork::pieces();  // 3-7 begin a word, 8-12 go on, 2 is the end
  const std::vector<TokenId> end_ = {TokenId{2}};
  Sampler sampler_{pieces_, end_};
  WordTracker words_{pieces_, WordUnit::kSpaced};
  std::vector<float> logits_ = std::vector<float>(testing::kStubVocabulary, 0.0F);
};

TEST_F(SamplerTest, TheNextBestTakesTheBlockedOnesPlace) {
  logits_[9] = 3;
  logits_[10] = 2;
  const std::vector<TokenId> blocked = {TokenId{9}};
  EXPECT_EQ(sampler_.best(logits_, Choice::kAny, words_), TokenId{9});
  EXPECT_EQ(sampler_.best(logits_, Choice::kAny, words_, blocked), TokenId{10});
}

TEST_F(SamplerTest, BlockedPiecesDoNotDecideWhetherTheWordEnds) {
  logits_[9] = 30;
  logits_[4] = 3;
  const std::vector<TokenId> blocked = {TokenId{9}};
  EXPECT_FALSE(sampler_.is_boundary(logits_, words_));
  EXPECT_TRUE(sampler_.is_boundary(logits_, words_, blocked));
}

TEST_F(SamplerTest, TheEndCannotBeBlocked) {
  logits_[2] = 5;
  EXPECT_EQ(sampler_.best(logits_, Choice::kAny, words_, end_), TokenId{2});
  EXPECT_TRUE(sampler_.is_boundary(logits_, words_, end_));
}

TEST_F(SamplerTest, TheBoundaryIsTheSumWhateverIsBlocked) {
  std::mt19937 random(3);
  std::normal_distribution<float> logit(0.0F, 2.0F);
  std::uniform_int_distribution<int> id(0, testing::kStubVocabulary - 1);
  int n_boundaries = 0;
  constexpr int kTrials = 300;
  for (int trial = 0; trial < kTrials; ++trial) {
    for (float& value : logits_) value = logit(random);
    std::vector<TokenId> blocked;  // in any order, some twice
    for (int i = 0; i < trial % 7; ++i) blocked.push_back(TokenId{id(random)});
    double begin = 0, go_on = 0;
    for (int i = 2; i <= 12; ++i) {
      const bool is_blocked =
          i != 2 && std::find(blocked.begin(), blocked.end(), TokenId{i}) != blocked.end();
      if (!is_blocked)
        (i <= 7 ? begin : go_on) += std::exp(static_cast<double>(logits_[static_cast<std::size_t>(i)]));
    }
    EXPECT_EQ(sampler_.is_boundary(logits_, words_, blocked), begin > go_on) << trial;
    n_boundaries += begin > go_on ? 1 : 0;
  }
  EXPECT_GT(n_boundaries, kTrials / 10);
  EXPECT_LT(n_boundaries, kTrials * 9 / 10);
}

}  // namespace
}  // namespace tandem
