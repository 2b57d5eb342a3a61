// Wide copies: every number of rows and outputs against a product in double precision and against ggml's with
// the same blocks, a model's logits against those without copies, adapters folded in against adapters beside
// the model; and where no copy is taken, the very same bits as without.
#include <fmt/core.h>
#include <ggml-cpp.h>
#include <ggml-cpu.h>
#include <ggml.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "model/adapter.h"
#include "model/model.h"
#include "model/quantize.h"
#include "model/reference.h"
#include "model/rows.h"
#include "model/tiny_adapter.h"
#include "model/tiny_family.h"
#include "model/tiny_llama.h"
#include "model/wide_matrix.h"
#include "model/wide_product.h"
#include "model/wide_rows.h"
#include "numeric/row_loops.h"
#include "support/random_values.h"

namespace tandem {
namespace {

using testing::distance;
using testing::expect_close;
using testing::mean_distance;
using testing::random_values;
using testing::TemporaryFolder;
using testing::TestSession;

#define NEEDS_WIDE_PRODUCTS() \
  if (!has_block_products()) GTEST_SKIP() << "this CPU has no products in blocks, so no model makes copies"

// ---- products ---------------------------------------------------------------------------------------------

struct Sizes {
  int n_in, n_out;
};

class WideProduct : public ::testing::TestWithParam<Sizes> {
 protected:
  int n_in() const { return GetParam().n_in; }
  int n_out() const { return GetParam().n_out; }

  WideMatrix matrix(WeightForm form = WeightForm::kEight) const { return matrix(form, n_out()); }
  /// Of the first outputs.
  WideMatrix matrix(WeightForm form, int n) const {
    const auto read_row = [&](int i, std::span<float> row) {
      std::copy_n(weights_.begin() + std::ptrdiff_t{i} * n_in(), n_in(), row.begin());
    };
    const auto share_out = [](int n_items, const std::function<void(int)>& work) {
      for (int i = n_items - 1; i >= 0; --i) work(i);  // in whatever order
    };
    return {n_in(), n, form, read_row, share_out};
  }

  /// Of the first rows of inputs; `product` adds its nodes to a graph.
  template <typename Product>
  std::vector<float> compute(int n_rows, int n_threads, Product product) {
    const ggml_context_ptr context(ggml_init({std::size_t{1} << 24U, nullptr, false}));
    ggml_tensor* x = ggml_new_tensor_2d(context.get(), GGML_TYPE_F32, n_in(), n_rows);
    std::copy_n(inputs_.begin(), ggml_nelements(x), ggml_get_data_f32(x));
    ggml_tensor* y = product(context.get(), x);
    ggml_cgraph* graph = ggml_new_graph(context.get());
    ggml_build_forward_expand(graph, y);
    ggml_set_f32(y, std::numeric_limits<float>::quiet_NaN());  // where nothing is written, this is seen
    EXPECT_EQ(ggml_graph_compute_with_ctx(context.get(), graph, n_threads), GGML_STATUS_SUCCESS);
    return {ggml_get_data_f32(y), ggml_get_data_f32(y) + ggml_nelements(y)};
  }

  std::vector<float> multiply(const WideMatrix& matrix, int n_rows, int n_threads) {
    return multiply(std::vector{WideFactor{.rows = {0, n_rows}, .matrix = &matrix}}, n_rows, n_threads);
  }
  std::vector<float> multiply(std::span<const WideFactor> factors, int n_rows, int n_threads) {
    WideProducts products;
    return compute(n_rows, n_threads, [&](ggml_context* context, ggml_tensor* x) {
      return products.multiply(context, factors, wide_blocks(context, x));
    });
  }

  static constexpr int kMostRows = 150;
  std::vector<float> weights_ = random_values(static_cast<std::size_t>(n_in()) * n_out(), 1);
  std::vector<float> inputs_ = random_values(static_cast<std::size_t>(n_in()) * kMostRows, 2);
};

TEST_P(WideProduct, IsTheProductForEveryNumberOfRows) {
  std::vector<float> all;
  for (int row = 0; row < kMostRows; ++row) {
    for (int out = 0; out < n_out(); ++out) {
      double sum = 0;
      for (int i = 0; i < n_in(); ++i)
        sum +=
            static_cast<double>(weights_[out * n_in() + i]) * static_cast<double>(inputs_[row * n_in() + i]);
      all.push_back(static_cast<float>(sum));
    }
  }
  for (const WeightForm form : {WeightForm::kSix, WeightForm::kSixHalves, WeightForm::kEight}) {
    const WideMatrix copy = matrix(form);
    EXPECT_EQ(copy.n_panels(), (n_out() + 31) / 32);
    // Two factors, rounded to 1 / 127 (or 1 / 31) of about two deviations, the errors of n_in products adding
    // up as a walk does.
    const float error = form == WeightForm::kEight ? 0.0066F : 0.023F;
    const float tolerance = 6 * std::sqrt(static_cast<float>(n_in())) * error;
    for (int n_rows = 1; n_rows <= kMostRows; n_rows += n_rows < 70 ? 1 : 13) {
      expect_close(multiply(copy, n_rows, 2),
                   std::span(all).first(static_cast<std::size_t>(n_rows) * n_out()), tolerance,
                   fmt::format("{} rows, form {}", n_rows, static_cast<int>(form)));
    }
  }
}

TEST_P(WideProduct, IsGgmlsWithTheSameBlocks) {
  std::vector<std::byte> blocks(ggml_row_size(GGML_TYPE_Q8_0, n_in()) * n_out());
  ggml_quantize_chunk(GGML_TYPE_Q8_0, weights_.data(), blocks.data(), 0, n_out(), n_in(), nullptr);
  ggml_get_type_traits(GGML_TYPE_Q8_0)->to_float(blocks.data(), weights_.data(), std::ssize(weights_));
  constexpr int kSome = 5;
  const std::vector<float> expected = compute(kSome, 1, [&](ggml_context* context, ggml_tensor* x) {
    ggml_tensor* matrix = ggml_new_tensor_2d(context, GGML_TYPE_Q8_0, n_in(), n_out());
    std::copy(blocks.begin(), blocks.end(), static_cast<std::byte*>(matrix->data));
    return ggml_mul_mat(context, matrix, x);
  });
  expect_close(multiply(matrix(), kSome, 1), expected, 1e-5F * std::sqrt(static_cast<float>(n_in())), "q8_0");
}

TEST_P(WideProduct, IsTheSameForEveryNumberOfThreads) {
  const WideMatrix copy = matrix();
  const std::vector<float> one = multiply(copy, 37, 1);
  for (const int n_threads : {2, 3, 8}) EXPECT_EQ(multiply(copy, 37, n_threads), one) << n_threads;
}

/// Each row as if it were alone with its matrix.
TEST_P(WideProduct, RowsMayHaveMatricesOfTheirOwn) {
  const WideMatrix six = matrix(WeightForm::kSixHalves), eight = matrix(WeightForm::kEight);
  const std::vector<WideFactor> factors = {
      {{0, 3}, &six}, {{3, 1}, &eight}, {{4, 9}, &six}, {{13, 5}, &eight}};
  const std::vector<float> of_six = multiply(six, 18, 1), of_eight = multiply(eight, 18, 1);
  std::vector<float> expected;
  for (const WideFactor& factor : factors) {
    const auto& from = factor.matrix == &six ? of_six : of_eight;
    const auto first = from.begin() + std::ptrdiff_t{factor.rows.first} * n_out();
    expected.insert(expected.end(), first, first + std::ptrdiff_t{factor.rows.n} * n_out());
  }
  for (const int n_threads : {1, 2, 5}) EXPECT_EQ(multiply(factors, 18, n_threads), expected) << n_threads;
}

/// The very same numbers, for any number of rows and threads.
TEST_P(WideProduct, AGateIsItsTwoProductsPutTogether) {
  const int n = n_out() / kBlockInputs * kBlockInputs;
  if (n == 0) GTEST_SKIP() << "not a block";
  const WideMatrix gate = matrix(WeightForm::kSix, n), up = matrix(WeightForm::kEight, n);
  const auto n_blocks = static_cast<std::size_t>(n / kBlockInputs);
  for (const auto activation : {GateActivation::kSilu, GateActivation::kGelu}) {
    for (const int n_rows : {1, 4, 37}) {
      const std::vector<float> gates = multiply(gate, n_rows, 1), ups = multiply(up, n_rows, 1);
      for (const int n_threads : {1, 3}) {
        WideProducts products;
        const ggml_context_ptr context(ggml_init({std::size_t{1} << 24U, nullptr, false}));
        ggml_tensor* x = ggml_new_tensor_2d(context.get(), GGML_TYPE_F32, n_in(), n_rows);
        std::copy_n(inputs_.begin(), ggml_nelements(x), ggml_get_data_f32(x));
        const WideFactor factor{.rows = {0, n_rows}, .matrix = &gate, .up = &up};
        ggml_tensor* y =
            products.gate(context.get(), activation, std::span(&factor, 1), wide_blocks(context.get(), x));
        ggml_cgraph* graph = ggml_new_graph(context.get());
        ggml_build_forward_expand(graph, y);
        ASSERT_EQ(ggml_graph_compute_with_ctx(context.get(), graph, n_threads), GGML_STATUS_SUCCESS);
        ASSERT_EQ(ggml_nbytes(y), sizeof(InputBlock) * n_blocks * static_cast<std::size_t>(n_rows));
        std::vector<InputBlock> expected(n_blocks * static_cast<std::size_t>(n_rows));
        gate_row(activation, gates.data(), ups.data(), expected.data(), std::ssize(gates));
        const auto* got = static_cast<const InputBlock*>(y->data);
        for (std::size_t i = 0; i < expected.size(); ++i) {
          EXPECT_EQ(got[i].values, expected[i].values) << i;
          EXPECT_EQ(got[i].scale, expected[i].scale) << i;
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, WideProduct,
                         ::testing::Values(Sizes{32, 1}, Sizes{64, 63}, Sizes{96, 64}, Sizes{256, 65},
                                           Sizes{640, 200}, Sizes{64, 1500}),
                         [](const auto& test) {
                           return fmt::format("{}in{}out", test.param.n_in, test.param.n_out);
                         });

// ---- models -----------------------------------------------------------------------------------------------

constexpr int kSourceRows = 9;
constexpr int kRows = 20;

std::vector<int> random_tokens(int n_vocab, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_int_distribution<int> id(3, n_vocab - 1);
  std::vector<int> tokens(kRows);
  for (int& token : tokens) token = id(random);
  return tokens;
}

void add_text(TestSession& session, std::span<const int> tokens) {
  for (int i = 0; i < kRows; ++i) {
    const int token = tokens[static_cast<std::size_t>(i)];
    i < kSourceRows ? session.source(token) : session.target(token, kSourceRows);
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

/// A model in q8_0, and the same weights in f32.
class WideModel : public ::testing::Test {
 protected:
  void SetUp() override { NEEDS_WIDE_PRODUCTS(); }

  WideModel() {
    testing::write_tiny_family(folder_.file("f32.gguf"), {.architecture = "gemma3"});
    quantize_file(folder_.file("f32.gguf"), folder_.file("q8.gguf"), "q8_0");
    quantize_file(folder_.file("q8.gguf"), folder_.file("exact.gguf"), "f32");
    model_ = Model::load(folder_.file("q8.gguf"));
    tokens_ = random_tokens(model_->config().n_vocab, 3);
  }

  std::shared_ptr<const Adapter> adapter(const std::string& name, unsigned seed,
                                         const std::vector<int>& kept = {}) {
    testing::write_tiny_adapter(folder_.file(name), folder_.file("f32.gguf"),
                                {.rank = 4, .seed = seed, .kept = kept});
    return model_->load_adapter(folder_.file(name));
  }

  std::unique_ptr<Network> network() const { return model_->make_network({.n_threads = 2, .n_slots = 256}); }

  /// With copies for the adapter's rows, which have been used.
  std::unique_ptr<Network> used_wide_network(const std::shared_ptr<const Adapter>& adapter) const {
    auto wide = network();
    EXPECT_TRUE(wide->widen(adapter));
    wide->set_wide_rows(1);
    (void)evaluate(*wide, adapter, tokens_);
    return wide;
  }

  TemporaryFolder folder_;
  std::shared_ptr<const Model> model_;
  std::vector<int> tokens_;
};

constexpr float kClose = 0.1F;  // logits deviate by about 1; some of forty layers' products round apart

TEST_F(WideModel, ComputesWithTheSameWeights) {
  const std::vector<float> blocks = evaluate(*network(), nullptr, tokens_);
  const auto wide = network();
  ASSERT_TRUE(wide->widen(nullptr));
  EXPECT_EQ(evaluate(*wide, nullptr, tokens_), blocks) << "not before it is told to";
  wide->set_wide_rows(1);
  const std::vector<float> got = evaluate(*wide, nullptr, tokens_);
  EXPECT_NE(got, blocks);
  expect_close(got, blocks, kClose, "wide");
  const auto exact = Model::load(folder_.file("exact.gguf"))->make_network({.n_slots = 64});
  expect_close(got, evaluate(*exact, nullptr, tokens_), kClose, "against the same weights in f32");
}

TEST_F(WideModel, APassOfTheSameShapeIsComputedAnew) {
  const auto wide = network();
  ASSERT_TRUE(wide->widen(nullptr));
  wide->set_wide_rows(1);
  const std::vector<float> expected = evaluate(*wide, nullptr, tokens_);
  std::vector<int> others = tokens_;
  std::reverse(others.begin(), others.end());
  EXPECT_NE(evaluate(*wide, nullptr, others), expected);
  EXPECT_EQ(evaluate(*wide, nullptr, tokens_), expected);
}

TEST_F(WideModel, FewRowsAreMultipliedWithTheBlocks) {
  const auto plain = network();
  const auto wide = network();
  ASSERT_TRUE(wide->widen(nullptr));
  wide->set_wide_rows(kRows + 1);
  EXPECT_EQ(evaluate(*wide, nullptr, tokens_), evaluate(*plain, nullptr, tokens_));
  wide->set_wide_rows(kRows);
  EXPECT_NE(evaluate(*wide, nullptr, tokens_), evaluate(*plain, nullptr, tokens_));
}

TEST_F(WideModel, AnAdapterIsFoldedIn) {
  const auto lora = adapter("a.gguf", 5);
  const auto plain = network();
  const std::vector<float> expected = evaluate(*plain, lora, tokens_);
  const float change = mean_distance(expected, evaluate(*plain, nullptr, tokens_));
  EXPECT_GT(change, kClose);
  const auto wide = network();
  ASSERT_TRUE(wide->widen(lora));
  wide->set_wide_rows(1);
  // Weights that it changes are rounded again.
  const float off = mean_distance(evaluate(*wide, lora, tokens_), expected);
  EXPECT_LT(off, change / 10);
  EXPECT_EQ(evaluate(*wide, nullptr, tokens_), evaluate(*plain, nullptr, tokens_))
      << "the model itself has no copies here";
}

/// As if each session had the pass for itself, bit by bit: with heads of one's own or the model's.
TEST_F(WideModel, RowsOfSeveralAdaptersTakeTheirOwnCopies) {
  const std::vector<std::shared_ptr<const Adapter>> adapters = {
      adapter("a.gguf", 5), nullptr, adapter("b.gguf", 6, {2, 5, 7}), nullptr, adapter("c.gguf", 7)};
  const auto net = network();
  for (const auto& each : adapters) ASSERT_TRUE(net->widen(each));
  net->set_wide_rows(1);
  std::vector<TestSession> sessions;
  std::vector<SessionRows> pass;
  std::vector<float> alone;
  for (const auto& each : adapters) {
    const std::vector<float> logits = evaluate(*net, each, tokens_);
    alone.insert(alone.end(), logits.begin(), logits.end());
    sessions.emplace_back(*net, 32, Position::whole(kSourceRows), each);
    add_text(sessions.back(), tokens_);
  }
  for (TestSession& session : sessions) pass.push_back(session.take_rows());
  EXPECT_EQ(testing::flat(net->evaluate(pass)), alone);
}

TEST_F(WideModel, OneWithoutCopiesLeavesThePassWithout) {
  const auto lora = adapter("a.gguf", 5);
  std::vector<std::vector<float>> logits;
  for (const bool is_wide : {false, true}) {
    const auto net = network();
    ASSERT_TRUE(!is_wide || net->widen(lora));
    net->set_wide_rows(1);
    std::vector<TestSession> sessions;
    std::vector<SessionRows> pass;
    for (const auto& each : {lora, std::shared_ptr<const Adapter>()}) {
      sessions.emplace_back(*net, 32, Position::whole(kSourceRows), each);
      add_text(sessions.back(), tokens_);
    }
    for (TestSession& session : sessions) pass.push_back(session.take_rows());
    logits.push_back(testing::flat(net->evaluate(pass)));
  }
  EXPECT_EQ(logits[0], logits[1]);
}

/// One key head or several, more threads than there are or fewer.
TEST_F(WideModel, IsTheSameForEveryNumberOfThreads) {
  for (const auto& [name, shape] : testing::family_shapes()) {
    testing::write_tiny_family(folder_.file("f32.gguf"), shape);
    quantize_file(folder_.file("f32.gguf"), folder_.file("q8.gguf"), "q8_0");
    const auto model = Model::load(folder_.file("q8.gguf"));
    std::vector<float> expected;
    for (const int n_threads : {1, 2, 3, 8}) {
      const auto net = model->make_network({.n_threads = n_threads, .n_slots = 64});
      ASSERT_TRUE(net->widen(nullptr));
      net->set_wide_rows(1);
      TestSession session(*net, 32, Position::whole(3));
      std::vector<float> logits;
      for (int i = 0; i < 6; ++i) {  // a row in a pass
        i < 3 ? session.source(10 + i) : session.target(10 + i, 3);
        const std::vector<float> of_row = session.evaluate();
        logits.insert(logits.end(), of_row.begin(), of_row.end());
      }
      if (expected.empty()) expected = logits;
      EXPECT_EQ(logits, expected) << name << ", " << n_threads << " threads";
    }
  }
}

/// Logits of target rows, of which row i sees i + 2 rows of a source. `n_ahead` source rows more than that
/// are there before it, in passes of `n_at_a_time`, and drafts come and go.
std::vector<float> scheduled(Network& network, std::span<const int> tokens, int n_ahead, int n_at_a_time,
                             bool has_drafts) {
  const int n_source = static_cast<int>(tokens.size());
  TestSession session(network, 128, Position::whole(0));
  TestSession other(network, 128, Position::whole(0));
  int n_read = 0;
  const auto read_to = [&](int n) {
    for (; n_read < n; ++n_read) {
      session.source(tokens[static_cast<std::size_t>(n_read)], false);
      if ((n_read + 1) % n_at_a_time == 0) (void)session.evaluate();
    }
  };
  std::vector<float> logits;
  for (int i = 0; i + 2 <= n_source; ++i) {
    const int visible = i + 2;
    read_to(std::max(n_read, std::min(visible + n_ahead, n_source)));
    if (has_drafts) {
      const Slot draft = session.target(tokens[static_cast<std::size_t>(i)], visible, RowKind::kDraft);
      (void)session.evaluate();
      session.timeline().drop(draft);
      other.source(tokens[static_cast<std::size_t>(i)]);
    }
    session.target(tokens[static_cast<std::size_t>(n_source - 1 - i)], visible);
    std::vector<SessionRows> pass;
    pass.push_back(session.take_rows());
    if (has_drafts) pass.push_back(other.take_rows());
    const std::span<const float> of_row = network.evaluate(pass).row(0);
    logits.insert(logits.end(), of_row.begin(), of_row.end());
  }
  session.release();
  other.release();
  return logits;
}

/// Bit by bit: what a session writes depends neither on when its source came nor on who is beside it.
TEST_F(WideModel, NoScheduleChangesALogit) {
  for (const auto& [name, shape] : testing::family_shapes()) {
    testing::write_tiny_family(folder_.file("f32.gguf"), shape);
    quantize_file(folder_.file("f32.gguf"), folder_.file("q8.gguf"), "q8_0");
    const auto model = Model::load(folder_.file("q8.gguf"));
    const auto net = model->make_network({.n_threads = 2, .n_slots = 256});
    ASSERT_TRUE(net->widen(nullptr));
    net->set_wide_rows(1);
    std::vector<int> tokens;  // many: rounding hides most differences of a row
    for (unsigned seed = 0; seed < 3; ++seed) {
      const std::vector<int> some = random_tokens(model->config().n_vocab, seed);
      tokens.insert(tokens.end(), some.begin(), some.end());
    }
    const std::vector<float> expected = scheduled(*net, tokens, 0, 1, false);
    EXPECT_EQ(scheduled(*net, tokens, 60, 60, false), expected) << name << ": all read ahead";
    EXPECT_EQ(scheduled(*net, tokens, 5, 3, true), expected) << name << ": among drafts and others";
  }
}

/// Two passes of three sessions, with two rows of the source first and then 2, 5 and 8 of the target: all on
/// one network, or each on its own. Returns each session's logits, pass after pass.
std::vector<std::vector<float>> two_passes(std::span<const std::unique_ptr<Network>> networks, int n_vocab) {
  constexpr unsigned kSessions = 3;
  std::vector<TestSession> sessions;
  for (unsigned i = 0; i < kSessions; ++i)
    sessions.emplace_back(*networks[i % networks.size()], 32, Position::whole(kSourceRows));
  std::vector<std::vector<float>> logits;
  for (unsigned round = 0; round < 2; ++round) {
    std::vector<SessionRows> pass;
    for (unsigned i = 0; i < kSessions; ++i) {
      const std::vector<int> tokens = random_tokens(n_vocab, 10 + i + kSessions * round);
      if (round == 0) sessions[i].source(tokens[18], false), sessions[i].source(tokens[19], false);
      for (unsigned row = 0; row < 2 + 3 * i; ++row) sessions[i].target(tokens[row], 2);
      if (networks.size() > 1)
        logits.push_back(sessions[i].evaluate());
      else
        pass.push_back(sessions[i].take_rows());
    }
    if (pass.empty()) continue;
    const Logits all = networks.front()->evaluate(pass);
    std::size_t first = 0;
    for (std::size_t n : {2, 5, 8}) logits.push_back(testing::flat(all.rows(first, n))), first += n;
  }
  return logits;
}

TEST_F(WideModel, SessionsSeeTheirOwnKeysAlone) {
  for (const CacheType type : {CacheType::kF32, CacheType::kF16, CacheType::kQ8}) {
    std::vector<std::unique_ptr<Network>> networks;
    for (int i = 0; i < 4; ++i) {
      networks.push_back(model_->make_network({.n_threads = 2, .n_slots = 128, .cache_type = type}));
      ASSERT_TRUE(networks.back()->widen(nullptr));
      networks.back()->set_wide_rows(1);
    }
    const auto alone = two_passes(std::span(networks).first(3), model_->config().n_vocab);
    const auto shared = two_passes(std::span(networks).last(1), model_->config().n_vocab);
    for (std::size_t i = 0; i < alone.size(); ++i)
      expect_close(shared[i], alone[i], 1e-4F, fmt::format("session {}, pass {}", i % 3, i / 3));
  }
}

TEST_F(WideModel, CopiesGoWithTheirAdapter) {
  auto lora = adapter("a.gguf", 5);
  const std::weak_ptr<const Adapter> watched = lora;
  const auto wide = used_wide_network(lora);
  lora.reset();
  EXPECT_FALSE(watched.expired()) << "the copies are its, until others are made";
  ASSERT_TRUE(wide->widen(nullptr));
  EXPECT_TRUE(watched.expired());
  expect_close(evaluate(*wide, nullptr, tokens_), evaluate(*network(), nullptr, tokens_), kClose, "after it");
}

TEST_F(WideModel, SaysWhatCopiesTake) {
  const ModelConfig& config = model_->config();
  const auto blocks = [](int n_in, int n_out) { return n_in / 32 * ((n_out + 31) / 32); };
  const auto bytes_of = [](int n_blocks) {
    return std::size_t{32 * 32 + 32 * 4} * static_cast<unsigned>(n_blocks);
  };
  const int of_layer = blocks(config.n_embd, config.n_embd_q()) +
                       2 * blocks(config.n_embd, config.n_embd_kv()) +
                       blocks(config.n_embd_q(), config.n_embd) + 2 * blocks(config.n_embd, config.n_ff) +
                       blocks(config.n_ff, config.n_embd);
  const int of_layers = config.n_layers * of_layer;
  EXPECT_EQ(model_->wide_copy_bytes(nullptr), bytes_of(of_layers + blocks(config.n_embd, config.n_vocab)));
  const auto lora = adapter("a.gguf", 5, {2, 5, 7});
  EXPECT_EQ(model_->wide_copy_bytes(lora.get()), bytes_of(of_layers + blocks(config.n_embd, 3)));
  EXPECT_EQ(Model::load(folder_.file("f32.gguf"))->wide_copy_bytes(nullptr), 0);
}

/// Types with a scale and no offset are what they are in the copy, so that inputs alone are rounded. Types
/// with an offset are rounded once more.
TEST(WideCopies, KeepWhatEachTypeHas) {
  NEEDS_WIDE_PRODUCTS();
  const TemporaryFolder folder;
  testing::write_tiny_llama(folder.file("f32.gguf"), {});
  const auto wide_error = [&](const std::string& type) {
    quantize_file(folder.file("f32.gguf"), folder.file("blocks.gguf"), type);
    quantize_file(folder.file("blocks.gguf"), folder.file("exact.gguf"), "f32");
    const auto blocks = Model::load(folder.file("blocks.gguf")),
               exact = Model::load(folder.file("exact.gguf"));
    const std::vector<int> tokens = random_tokens(exact->config().n_vocab, 3);
    const auto wide = blocks->make_network({.n_slots = 64});
    EXPECT_TRUE(wide->widen(nullptr));
    wide->set_wide_rows(1);
    return mean_distance(evaluate(*wide, nullptr, tokens),
                         evaluate(*exact->make_network({.n_slots = 64}), nullptr, tokens));
  };
  const float of_inputs = wide_error("q8_0");
  for (const std::string type : {"q4_0", "q5_0"}) EXPECT_LT(wide_error(type), 1.15F * of_inputs) << type;
  // Two scales a block: six bits by halves keep them, eight round by as much as inputs are rounded.
  const float most = fastest_form() == WeightForm::kEight ? 1.5F : 1.15F;
  EXPECT_LT(wide_error("q6_k"), most * of_inputs);
  for (const std::string type : {"q4_k", "q5_k"}) EXPECT_LT(wide_error(type), 5 * of_inputs) << type;
}

TEST_F(WideModel, WithoutCopiesItIsAsBefore) {
  auto lora = adapter("a.gguf", 5);
  const std::weak_ptr<const Adapter> watched = lora;
  const auto wide = used_wide_network(lora);
  wide->narrow();
  EXPECT_EQ(evaluate(*wide, lora, tokens_), evaluate(*network(), lora, tokens_));
  lora.reset();
  (void)evaluate(*wide, nullptr, tokens_);
  EXPECT_TRUE(watched.expired()) << "it holds no copy that is an adapter's";
}

TEST_F(WideModel, WhatIsExactStaysExact) {
  for (const char* type : {"f32", "f16", "bf16"}) {
    quantize_file(folder_.file("f32.gguf"), folder_.file("exact.gguf"), type);
    const auto exact = Model::load(folder_.file("exact.gguf"))->make_network({.n_slots = 64});
    EXPECT_FALSE(exact->widen(nullptr)) << type;
  }
}

TEST_F(WideModel, EveryFamilyIsCloseToItself) {
  for (const auto& [name, shape] : testing::family_shapes()) {
    testing::write_tiny_family(folder_.file("f32.gguf"), shape);
    quantize_file(folder_.file("f32.gguf"), folder_.file("q8.gguf"), "q8_0");
    const auto model = Model::load(folder_.file("q8.gguf"));
    const std::vector<int> tokens = random_tokens(model->config().n_vocab, 4);
    const auto net = model->make_network({.n_slots = 64});
    const std::vector<float> expected = evaluate(*net, nullptr, tokens);
    ASSERT_TRUE(net->widen(nullptr));
    net->set_wide_rows(1);
    const std::vector<float> got = evaluate(*net, nullptr, tokens);
    EXPECT_NE(got, expected) << name << " takes no copy";
    expect_close(got, expected, 0.2F, name);
  }
}

}  // namespace
}  // namespace tandem
