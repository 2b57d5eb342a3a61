// Each type of cache against exact K and V, and the fused attention over it against the plain one.
#include "model/cache_type.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "model/model.h"
#include "model/reference.h"
#include "model/rows.h"
#include "model/tiny_llama.h"
#include "model/weight_types.h"
#include "tandem/error.h"

namespace tandem {
namespace {

using testing::expect_close;
using ::testing::HasSubstr;
using testing::mean_distance;
using testing::TemporaryFolder;
using testing::TestSession;

struct Case {
  CacheType type;
  float mean_tolerance;   // from exact K and V, on average; logits have a deviation of about 1
  float least_distance;   // the same from below: less is another type
  float fused_tolerance;  // from plain attention over the same K and V, at most
};

// Plain attention reads blocks as they are; ggml's fused one rounds queries to eight bits for its products
// with either quantised type, and sums f16 in f16.
constexpr Case kCases[] = {{CacheType::kF32, 0, 0, 2e-5F},
                           {CacheType::kF16, 1e-3F, 1e-5F, 1e-2F},
                           {CacheType::kQ8, 1e-2F, 1e-3F, 5e-2F},
                           {CacheType::kQ4, 0.15F, 2e-2F, 5e-2F}};

constexpr int kSourceRows = 37;
constexpr int kTargetRows = 20;

class CacheTypes : public ::testing::TestWithParam<Case> {
 protected:
  void load(int n_layers) {
    testing::write_tiny_llama(folder_.file("tiny.gguf"), {.n_layers = n_layers});
    model_ = Model::load(folder_.file("tiny.gguf"));
  }

  std::unique_ptr<Network> network(CacheType type, Attention attention) const {
    return model_->make_network({.n_slots = 128, .cache_type = type, .attention = attention});
  }

  /// A pair whose target sees more of the source row by row; several rows to a pass, drafts dropped and their
  /// slots written again.
  std::vector<float> stream(Network& network) const {
    std::mt19937 random(20250516);
    std::uniform_int_distribution<int> token(3, model_->config().n_vocab - 1);
    TestSession session(network, 96);
    std::vector<float> logits;
    for (int i = 0; i < kSourceRows; ++i) session.source(token(random));
    for (int i = 0; i < kTargetRows; ++i) {
      const Slot draft = session.target(token(random), 1 + i / 2, RowKind::kDraft);
      session.target(token(random), 1 + i);
      const std::vector<float> some = session.evaluate();
      logits.insert(logits.end(), some.begin(), some.end());
      session.timeline().drop(draft);
    }
    session.release();
    return logits;
  }

  TemporaryFolder folder_;
  std::shared_ptr<const Model> model_;
};

TEST_P(CacheTypes, StaysNearExactKeysAndValues) {
  load(2);
  const auto exact = network(CacheType::kF32, Attention::kPlain);
  const auto kept = network(GetParam().type, Attention::kPlain);
  const std::vector<float> expected = stream(*exact);
  const std::vector<float> got = stream(*kept);
  const float mean = mean_distance(got, expected);
  EXPECT_TRUE(mean <= GetParam().mean_tolerance) << mean;
  EXPECT_GE(mean, GetParam().least_distance) << "is this the type that was asked for?";
}

TEST_P(CacheTypes, FusedAttentionEqualsThePlainOne) {
  // One layer: in a second one, what stood near an edge of a block's rounding falls to its other side, and a
  // step of q4_0 is large.
  load(1);
  const auto fused = network(GetParam().type, Attention::kFused);
  const auto plain = network(GetParam().type, Attention::kPlain);
  expect_close(stream(*fused), stream(*plain), GetParam().fused_tolerance, "fused and plain");
}

INSTANTIATE_TEST_SUITE_P(Types, CacheTypes, ::testing::ValuesIn(kCases),
                         [](const auto& test) { return type_name(element_of(test.param.type)); });

TEST(CacheType, IsRefusedWhereHeadsAreNoWholeBlocks) {
  const TemporaryFolder folder;
  testing::write_tiny_llama(folder.file("narrow.gguf"), {.n_heads = 16, .n_kv_heads = 8});
  const auto model = Model::load(folder.file("narrow.gguf"));
  for (const CacheType type : {CacheType::kQ8, CacheType::kQ4}) {
    EXPECT_FALSE(fits_cache(model->config(), type));
    try {
      (void)model->make_network({.n_slots = 64, .cache_type = type});
      ADD_FAILURE() << "no error";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
      EXPECT_THAT(error.what(), HasSubstr("multiple of 32"));
      EXPECT_THAT(error.what(), HasSubstr("got 16"));
    }
  }
  EXPECT_NE(model->make_network({.n_slots = 64, .cache_type = CacheType::kF16}), nullptr);
}

}  // namespace
}  // namespace tandem
