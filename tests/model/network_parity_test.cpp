// With every source row visible and the target right behind the source, a pass is a plain causal model: its
// logits are libllama's on the same file, whether rows come one by one or all at once (DESIGN: k = inf, phi =
// S).
#include <fmt/core.h>
#include <gtest/gtest.h>

#include <numeric>
#include <random>

#include "model/model.h"
#include "model/reference.h"
#include "model/rows.h"
#include "model/tiny_llama.h"

namespace tandem {
namespace {

using testing::expect_close;
using testing::libllama_logits;
using testing::TemporaryFolder;
using testing::TestSession;
using testing::TinyShape;

constexpr int kSourceRows = 23;
constexpr int kTargetRows = 17;

struct Case {
  const char* type;
  float tolerance;  // of the fused attention; logits have a deviation of about 1
  /// Of plain attention, which does libllama's very steps: only the number of rows in a product differs.
  float same_steps = 2e-5F;
};

// Products round what they are given: to f16, bf16, or eight bits a block. The fused attention adds up in
// another order than libllama's plain one, and what stood near an edge of that rounding falls to its other
// side. For q4_k and AVX2 ggml rounds inputs of four rows otherwise than those of one.
constexpr Case kCases[] = {
    {"f32", 2e-5F}, {"f16", 1e-2F}, {"bf16", 5e-2F}, {"q8_0", 5e-2F}, {"q4_k", 0.2F, 5e-2F}};

std::vector<int> random_tokens(int n, int n_vocab, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_int_distribution<int> id(3, n_vocab - 1);
  std::vector<int> tokens(static_cast<std::size_t>(n));
  for (int& token : tokens) token = id(random);
  return tokens;
}

class NetworkParity : public ::testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    testing::write_tiny_llama(path_, shape_, GetParam().type);
    model_ = Model::load(path_);
    tokens_ = random_tokens(kSourceRows + kTargetRows, model_->config().n_vocab, 11);
    expected_ = libllama_logits(path_, tokens_);
  }

  /// All logits of the pair, `step` rows to a pass.
  std::vector<float> evaluate(Network& network, int step) {
    TestSession session(network, 64, Position::whole(kSourceRows));
    std::vector<float> logits;
    for (int i = 0; i < static_cast<int>(tokens_.size()); ++i) {
      const int token = tokens_[static_cast<std::size_t>(i)];
      i < kSourceRows ? session.source(token) : session.target(token, kSourceRows);
      if ((i + 1) % step != 0 && i + 1 < static_cast<int>(tokens_.size())) continue;
      const std::vector<float> some = session.evaluate();
      logits.insert(logits.end(), some.begin(), some.end());
    }
    session.release();
    return logits;
  }

  TemporaryFolder folder_;
  std::string path_ = folder_.file("tiny.gguf");
  TinyShape shape_;
  std::shared_ptr<const Model> model_;
  std::vector<int> tokens_;
  std::vector<float> expected_;
};

TEST_P(NetworkParity, EqualsLibllamaAllRowsAtOnce) {
  const auto network = model_->make_network({.n_threads = 2, .n_slots = 128});
  expect_close(evaluate(*network, kSourceRows + kTargetRows), expected_, GetParam().tolerance, "all at once");
}

TEST_P(NetworkParity, EqualsLibllamaRowByRow) {
  const auto network = model_->make_network({.n_threads = 1, .n_slots = 128});
  expect_close(evaluate(*network, 1), expected_, GetParam().tolerance, "one by one");
}

TEST_P(NetworkParity, PlainAttentionEqualsLibllamaForEveryType) {
  const auto network = model_->make_network({.n_slots = 128, .attention = Attention::kPlain});
  expect_close(evaluate(*network, 7), expected_, GetParam().same_steps, "plain attention, seven by seven");
}

TEST_P(NetworkParity, WeightsAsStoredEqualTheRepacked) {
  const auto stored = Model::load(path_, {.layout = WeightLayout::kAsStored});
  const auto network = stored->make_network({.n_slots = 128});
  expect_close(evaluate(*network, 9), expected_, GetParam().tolerance, "as stored");
}

TEST_P(NetworkParity, LogitsDoNotDependOnWhichOthersAreWanted) {
  const auto network = model_->make_network({.n_slots = 128});
  TestSession session(*network, 64, Position::whole(kSourceRows));
  for (int i = 0; i < kSourceRows; ++i)
    session.source(tokens_[static_cast<std::size_t>(i)], i == 3 || i == kSourceRows - 1);
  const std::vector<float> some = session.evaluate();
  const auto n_vocab = static_cast<std::size_t>(model_->config().n_vocab);
  ASSERT_EQ(some.size(), 2 * n_vocab);
  const std::span<const float> all(expected_);
  expect_close(std::span(some).first(n_vocab), all.subspan(3 * n_vocab, n_vocab), GetParam().tolerance,
               "row 3");
  expect_close(std::span(some).last(n_vocab), all.subspan((kSourceRows - 1) * n_vocab, n_vocab),
               GetParam().tolerance, "last row");
}

INSTANTIATE_TEST_SUITE_P(Types, NetworkParity, ::testing::ValuesIn(kCases),
                         [](const auto& test) { return std::string(test.param.type); });

TEST(NetworkTied, HeadIsTheEmbeddingsWhenTheFileHasNone) {
  const TemporaryFolder folder;
  const std::string path = folder.file("tied.gguf");
  testing::write_tiny_llama(path, {.tied = true}, "q4_k");
  const auto model = Model::load(path);
  const auto network = model->make_network({.n_slots = 64});
  const std::vector<int> tokens = random_tokens(12, model->config().n_vocab, 5);
  TestSession session(*network, 32);
  for (const int token : tokens) session.source(token);
  expect_close(session.evaluate(), libllama_logits(path, tokens), 2e-3F, "tied");
}

TEST(NetworkHalfCache, StaysWithinTheTolerance) {
  const TemporaryFolder folder;
  const std::string path = folder.file("half.gguf");
  testing::write_tiny_llama(path);
  const auto model = Model::load(path);
  const auto network = model->make_network({.n_slots = 64, .cache_type = CacheType::kF16});
  const std::vector<int> tokens = random_tokens(40, model->config().n_vocab, 5);
  TestSession session(*network, 64);
  for (const int token : tokens) session.source(token);
  expect_close(session.evaluate(), libllama_logits(path, tokens), 1e-2F, "f16 cache");
}

}  // namespace
}  // namespace tandem
