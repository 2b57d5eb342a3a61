// What is blocked for one choice is neither written nor summed; the end never is blocked.
#include "engine/sampler.h"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace tandem
