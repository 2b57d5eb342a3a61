// Shares of a batch, each in a thread of its own: together the whole batch's gradients, and the same ones
// however the threads interleave.
#include <gtest/gtest.h>
#include <torch/types.h>

#include <algorithm>

#include "tandem/error.h"
#include "train/dropout.h"
#include "train/scratch_decoder.h"
#include "train/shares.h"
#include "training_examples.h"

namespace tandem {
namespace {

TEST(Divide, SharesAreConsecutiveAndOfLikeRows) {
  const std::vector<Example> examples = random_examples(7, 1);
  std::vector<const Example*> pointers;
  for (const Example& example : examples) pointers.push_back(&example);
  const std::vector<int> rows = {10, 10, 10, 10, 10, 10, 60};
  const auto halves = divide(pointers, rows, 2);
  ASSERT_EQ(halves.size(), 2U);
  EXPECT_EQ(halves[0].size(), 6U);
  EXPECT_EQ(halves[1].size(), 1U);
  for (std::size_t n = 1; n <= 9; ++n) {
    std::vector<const Example*> together;
    const auto shares = divide(pointers, rows, n);
    EXPECT_EQ(shares.size(), std::min<std::size_t>(n, 7));
    for (const Examples share : shares) {
      EXPECT_FALSE(share.empty());
      together.insert(together.end(), share.begin(), share.end());
    }
    EXPECT_EQ(together, pointers);
  }
}

TEST(Divide, AsManySharesAsThreadsUnlessMemoryOrRowsAreShort) {
  EXPECT_EQ(count_shares(1, 1000, 5000), 1U);
  EXPECT_EQ(count_shares(16, 10'000'000, 5000), 16U);
  EXPECT_EQ(count_shares(16, 268'000'000, 5000), 4U);    // gradients of 4 GiB in all
  EXPECT_EQ(count_shares(16, 8'000'000'000, 5000), 1U);  // more than that: one share, in all threads
  EXPECT_EQ(count_shares(16, 1000, 600), 4U);            // of 128 rows and more
  EXPECT_EQ(count_shares(16, 1000, 20), 1U);
}

class Shares : public testing::Test {
 protected:
  static ScratchDecoder make_decoder(double dropout) {
    DecoderShape shape;
    shape.n_layers = 2;
    shape.width = 64;
    shape.n_kv_heads = 2;
    shape.ff_width = 96;
    shape.vocabulary_size = 40;
    return {shape, MatmulType::kFloat32, dropout, 1};
  }

  std::vector<Batch> batches(std::size_t n_shares) const {
    TrainConfig config;
    config.ks = {WaitK(2), WaitK::unlimited()};
    const Collator collator(worked_prompts(), config);
    std::vector<const Example*> pointers;
    std::vector<int> rows;
    for (const Example& example : examples_) {
      pointers.push_back(&example);
      rows.push_back(collator.count_rows(example));
    }
    Random random{7};
    std::vector<Batch> out;
    for (const Examples share : divide(pointers, rows, n_shares))
      out.push_back(collator.collate(share, random));
    return out;
  }

  at::Tensor gradients(double dropout, std::size_t n_shares, double* loss = nullptr) const {
    ScratchDecoder decoder = make_decoder(dropout);
    const std::vector<Batch> shares = batches(n_shares);
    const double sum = add_gradients(decoder, shares, {0.1, 100.0, 5, 2});
    if (loss != nullptr) *loss = sum;
    return decoder.gradients().clone();
  }

  const std::vector<Example> examples_ = random_examples(30, 3);
};

TEST_F(Shares, AddUpToTheWholeBatch) {
  double whole_loss = 0.0;
  const at::Tensor whole = gradients(0.0, 1, &whole_loss);
  EXPECT_GT(whole.abs().max().item<double>(), 1e-2);
  for (const std::size_t n : {2U, 3U, 5U}) {
    double loss = 0.0;
    const at::Tensor shares = gradients(0.0, n, &loss);
    EXPECT_LT((shares - whole).abs().max().item<double>(), 1e-5) << n;
    EXPECT_NEAR(loss, whole_loss, 1e-3) << n;
  }
}

TEST_F(Shares, AreTheSameBitsEveryTime) {
  const at::Tensor first = gradients(0.3, 4);
  for (int again = 0; again < 5; ++again) EXPECT_TRUE(first.equal(gradients(0.3, 4)));
}

TEST_F(Shares, AreAddedToWhatIsThere) {
  ScratchDecoder decoder = make_decoder(0.0);
  const std::vector<Batch> shares = batches(2);
  add_gradients(decoder, shares, {0.0, 100.0, 5, 2});
  const at::Tensor once = decoder.gradients().clone();
  add_gradients(decoder, shares, {0.0, 100.0, 5, 2});
  EXPECT_LT((decoder.gradients() - once * 2.0).abs().max().item<double>(), 1e-5);
}

TEST(Dropout, KeepsTheMeanAndIsDecidedByItsSeed) {
  const at::Tensor ones = at::ones({200, 200});
  seed_dropout(4);
  const at::Tensor first = dropout(ones, 0.25), second = dropout(ones, 0.25);
  EXPECT_NEAR(first.mean().item<double>(), 1.0, 0.02);
  EXPECT_NEAR((first == 0).to(at::kFloat).mean().item<double>(), 0.25, 0.02);
  EXPECT_FALSE(first.equal(second));
  seed_dropout(4);
  EXPECT_TRUE(first.equal(dropout(ones, 0.25)));
}

/// A decoder that fails in its second share.
class FailingDecoder final : public TrainableDecoder {
 public:
  FailingDecoder() {
    flat_ = at::ones({1});
    gradients_ = at::zeros({1});
    make_leaf(0, {1});
  }
  at::Tensor logits(const Batch&) override { return {}; }
  Loss loss(const Batch& batch, double, double) override {
    if (batch.n_sequences > 15) throw Error(ErrorCode::kInvalidArgument, "a share failed");
    return {leaves()[0].sum(), at::zeros({1})};
  }
  std::vector<Parameter> parameters(const at::Tensor&) const override { return {}; }
  std::string fingerprint() const override { return "failing"; }
};

TEST_F(Shares, WhatOneThrowsTheStepThrows) {
  std::vector<Batch> shares = batches(2);
  shares[0].n_sequences = 1;
  shares[1].n_sequences = 16;
  FailingDecoder decoder;
  EXPECT_THROW(add_gradients(decoder, shares, {0.0, 1.0, 5, 2}), Error);
}

}  // namespace
}  // namespace tandem
