// LoRA adapters against libllama with the same adapter on the same base, every family; rows of several
// adapters in one pass against each alone; a small head against the columns of the whole one.
#include "model/adapter.h"

#include <fmt/core.h>
#include <gguf.h>
#include <gtest/gtest.h>

#include <numeric>
#include <random>

#include "model/model.h"
#include "model/quantize.h"
#include "model/reference.h"
#include "model/rows.h"
#include "model/tiny_adapter.h"
#include "model/tiny_family.h"
#include "model/tiny_llama.h"
#include "tandem/error.h"

namespace tandem {
namespace {

using testing::expect_close;
using testing::family_shapes;
using testing::FamilyShape;
using testing::TemporaryFolder;
using testing::TestSession;

constexpr int kSourceRows = 9;
constexpr int kRows = 20;
// Logits deviate by about 1; GELU is a table of f16 (family_parity_test.cpp).
float tolerance_of(const FamilyShape& shape) {
  return shape.architecture.starts_with("gemma") ? 5e-3F : 2e-4F;
}
constexpr float kClearly = 0.1F;

std::vector<int> random_tokens(int n, int n_vocab, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_int_distribution<int> id(3, n_vocab - 1);
  std::vector<int> tokens(static_cast<std::size_t>(n));
  for (int& token : tokens) token = id(random);
  return tokens;
}

/// Every third id, and 2, which is the template's end.
std::vector<int> some_ids(int n_vocab) {
  std::vector<int> ids;
  for (int id = 2; id < n_vocab; id += 3) ids.push_back(id);
  return ids;
}

std::vector<float> columns(std::span<const float> logits, int n_vocab, std::span<const int> ids) {
  std::vector<float> some;
  for (std::size_t row = 0; row < logits.size(); row += static_cast<std::size_t>(n_vocab)) {
    for (const int id : ids) some.push_back(logits[row + static_cast<std::size_t>(id)]);
  }
  return some;
}

/// A text as source and target that is right behind it: what a causal model sees.
void add_text(TestSession& session, std::span<const int> tokens, bool wants_logits = true) {
  for (int i = 0; i < static_cast<int>(tokens.size()); ++i) {
    const int token = tokens[static_cast<std::size_t>(i)];
    i < kSourceRows ? session.source(token, wants_logits)
                    : session.target(token, kSourceRows, RowKind::kKept, wants_logits);
  }
}

std::vector<float> evaluate(Network& network, const std::shared_ptr<const Adapter>& adapter,
                            std::span<const int> tokens) {
  TestSession session(network, 32, Position::whole(kSourceRows), adapter);
  add_text(session, tokens);
  const std::vector<float> logits = session.evaluate();
  session.release();
  return logits;
}

class EachFamilyAdapted : public ::testing::TestWithParam<std::pair<std::string, FamilyShape>> {
 protected:
  EachFamilyAdapted() { testing::write_tiny_family(base_, shape()); }
  const FamilyShape& shape() const { return GetParam().second; }
  std::string adapter_file(const std::string& name, const testing::AdapterShape& adapter) {
    testing::write_tiny_adapter(folder_.file(name), base_, adapter);
    return folder_.file(name);
  }

  TemporaryFolder folder_;
  std::string base_ = folder_.file("base.gguf");
};

TEST_P(EachFamilyAdapted, LogitsAreLibllamasWithTheSameAdapter) {
  const auto model = Model::load(base_);
  const auto network = model->make_network({.n_slots = 64});
  const std::vector<int> tokens = random_tokens(kRows, model->config().n_vocab, 11);
  const std::vector<float> unadapted = evaluate(*network, nullptr, tokens);
  for (const float alpha : {4.0F, 2.5F, 0.0F}) {
    const std::string path = adapter_file("a.gguf", {.alpha = alpha});
    const std::vector<float> expected =
        Yardstick(base_, {.adapter = path}).logits(testing::to_tokens(tokens));
    EXPECT_GT(testing::distance(expected, unadapted), kClearly)
        << "an adapter that changes nothing says nothing";
    expect_close(evaluate(*network, model->load_adapter(path), tokens), expected, tolerance_of(shape()),
                 fmt::format("alpha {}", alpha));
  }
}

TEST_P(EachFamilyAdapted, RowsOfSeveralAdaptersInOnePassAreAsIfAlone) {
  const auto model = Model::load(base_);
  const auto network = model->make_network({.n_slots = 256});
  const int n_vocab = model->config().n_vocab;
  const std::vector<int> kept = some_ids(n_vocab);
  const auto a = model->load_adapter(adapter_file("a.gguf", {}));
  const auto b = model->load_adapter(adapter_file("b.gguf", {.rank = 4, .seed = 6, .kept = kept}));
  const std::shared_ptr<const Adapter> none;
  // Those with the same adapter, and those with the same head, stand apart; one wants no logits at all.
  const std::vector<std::shared_ptr<const Adapter>> adapters = {b, none, a, b, a, none};
  constexpr std::size_t kSilent = 4;

  std::vector<float> expected;
  std::vector<TestSession> sessions;
  std::vector<SessionRows> pass;
  for (std::size_t i = 0; i < adapters.size(); ++i) {
    const std::vector<int> tokens =
        random_tokens(12 + static_cast<int>(i), n_vocab, 20 + static_cast<unsigned>(i));
    if (i != kSilent) {
      const std::vector<float> alone = evaluate(*network, adapters[i], tokens);
      expected.insert(expected.end(), alone.begin(), alone.end());
    }
    sessions.emplace_back(*network, 32, Position::whole(kSourceRows), adapters[i]);
    add_text(sessions.back(), tokens, i != kSilent);
  }
  for (TestSession& session : sessions) pass.push_back(session.take_rows());
  const Logits got = network->evaluate(pass);
  expect_close(testing::flat(got), expected, tolerance_of(shape()), "together");
  EXPECT_EQ(got.row(0).size(), kept.size());
  EXPECT_EQ(got.row(12).size(), static_cast<std::size_t>(n_vocab)) << "the second session has the whole head";
}

TEST_P(EachFamilyAdapted, ASmallHeadGivesTheColumnsOfTheWholeOne) {
  // The same weights, with and without kept ids: of the model, and of an adapter that changes the head too.
  const auto model = Model::load(base_);
  const int n_vocab = model->config().n_vocab;
  const std::vector<int> kept = some_ids(n_vocab);
  const std::string small_base = folder_.file("small.gguf");
  testing::write_tiny_family(small_base, shape(), {.metadata = [&](gguf_context* file) {
                               testing::add_stream_metadata(file);
                               gguf_set_arr_data(file, "tandem.vocab.kept", GGUF_TYPE_INT32, kept.data(),
                                                 kept.size());
                             }});
  const auto small = Model::load(small_base);
  const auto whole_network = model->make_network({.n_slots = 64});
  const auto small_network = small->make_network({.n_slots = 64});
  const std::vector<int> tokens = random_tokens(kRows, n_vocab, 12);
  const auto expect_columns = [&](std::span<const float> got, std::span<const float> whole,
                                  const char* what) {
    expect_close(got, columns(whole, n_vocab, kept), tolerance_of(shape()), what);
  };
  expect_columns(evaluate(*small_network, nullptr, tokens), evaluate(*whole_network, nullptr, tokens),
                 "model");

  const std::string plain = adapter_file("plain.gguf", {});
  const std::string keeping = adapter_file("keeping.gguf", {.kept = kept});
  const std::vector<float> adapted = evaluate(*whole_network, model->load_adapter(plain), tokens);
  expect_columns(evaluate(*whole_network, model->load_adapter(keeping), tokens), adapted,
                 "adapter that keeps ids");
  expect_columns(evaluate(*small_network, small->load_adapter(plain), tokens), adapted,
                 "model that keeps ids");
}

INSTANTIATE_TEST_SUITE_P(Families, EachFamilyAdapted, ::testing::ValuesIn(family_shapes()),
                         [](const auto& test) { return test.param.first; });

TEST(AdapterTypes, EveryTypeOfBaseAndAdapterIsLibllamas) {
  const TemporaryFolder folder;
  const std::string base = folder.file("base.gguf");
  const std::string adapter = folder.file("adapter.gguf");
  testing::write_tiny_family(folder.file("f32.gguf"), {.architecture = "gemma3"});
  testing::write_tiny_adapter(folder.file("lora32.gguf"), folder.file("f32.gguf"), {.rank = 32, .alpha = 16});
  for (const auto& [base_type, adapter_type, tolerance] : {std::tuple{"f32", "f16", 1e-2F},
                                                           {"q8_0", "q8_0", 0.2F},
                                                           {"q4_k", "bf16", 0.3F},
                                                           {"q4_k", "f16", 0.3F}}) {
    quantize_file(folder.file("f32.gguf"), base, base_type);
    quantize_file(folder.file("lora32.gguf"), adapter, adapter_type);
    const auto model = Model::load(base);
    const std::vector<int> tokens = random_tokens(kRows, model->config().n_vocab, 13);
    const auto network = model->make_network({.n_slots = 64});
    const std::vector<float> expected =
        Yardstick(base, {.adapter = adapter}).logits(testing::to_tokens(tokens));
    expect_close(evaluate(*network, model->load_adapter(adapter), tokens), expected, tolerance,
                 fmt::format("{} on {}", adapter_type, base_type));
  }
}

}  // namespace
}  // namespace tandem
