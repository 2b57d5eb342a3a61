// The trainer's network of every family against the engine's, on the same file, under the same visibilities;
// adapters against the weights that they stand for; and what must not change a gradient.
#include <ATen/Functions.h>
#include <gtest/gtest.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <cmath>
#include <limits>

#include "model/model.h"
#include "model/tiny_family.h"
#include "tandem/error.h"
#include "train/dropout.h"
#include "train/stock_decoder.h"
#include "train_support.h"
#include "training_examples.h"

namespace tandem {
namespace {

using testing::family_shapes;
using testing::FamilyShape;
using testing::TemporaryFolder;

double distance(const at::Tensor& a, const at::Tensor& b) {
  const double largest = (a - b).abs().max().item<double>();
  return std::isfinite(largest) ? largest : std::numeric_limits<double>::infinity();
}

TrainConfig streaming_config() {
  TrainConfig config;
  config.target_languages = {"de", "fr"};
  config.ks = {WaitK(1), WaitK(3), WaitK::unlimited()};
  config.boundary = BoundaryRows::kBoth;
  config.phi = 0.5;
  return config;
}

std::vector<LaidOutExample> laid_out_examples(int window) {
  const Collator collator(worked_prompts(), streaming_config(), window);
  Random random{5};
  std::vector<LaidOutExample> out;
  for (const Example& example : random_examples(3, 11)) out.push_back(collator.lay_out(example, random));
  return out;
}

/// The engine's logits of the rows that have a label, one pass per row.
at::Tensor engine_logits(const Model& model, const LaidOutExample& example) {
  const auto network = model.make_network({.n_slots = 256, .attention = Attention::kPlain});
  const CacheSpan span = network->reserve(256);
  std::vector<at::Tensor> rows;
  for (std::size_t row = 0; row < example.rows.size(); ++row) {
    const PassRow pass_row{.token = TokenId{example.tokens[row]},
                           .place = example.rows[row],
                           .wants_logits = example.labels[row] >= 0};
    const std::vector<SessionRows> pass = {
        {.span = span, .cached = std::span(example.rows).first(row + 1), .rows = {pass_row}}};
    const Logits logits = network->evaluate(pass);
    if (pass_row.wants_logits) {
      rows.push_back(torch::tensor(at::ArrayRef<float>(logits.row(0).data(), logits.row(0).size())));
    }
  }
  return at::stack(rows);
}

StockDecoderOptions all_weights() {
  StockDecoderOptions options;
  options.matmul = MatmulType::kFloat32;
  return options;
}

StockDecoderOptions adapters() {
  StockDecoderOptions options = all_weights();
  options.adapter = AdapterShape{.rank = 4, .alpha = 6.0};
  return options;
}

/// A fresh adapter changes nothing: give it something to do.
void stir(StockDecoder& decoder) {
  torch::NoGradGuard no_grad;
  torch::manual_seed(9);
  for (Parameter& parameter : decoder.parameters(decoder.flat())) {
    if (parameter.name.ends_with(".lora_b")) parameter.value.normal_(0.0, 0.3);
  }
}

class StockDecoderOf : public ::testing::TestWithParam<std::pair<std::string, FamilyShape>> {
 protected:
  StockDecoderOf() : path_(folder_.file("base.gguf")) {
    testing::write_tiny_family(path_, GetParam().second);
    base_.emplace(path_);
  }

  TemporaryFolder folder_;
  std::string path_;
  std::optional<BaseModel> base_;
};

TEST_P(StockDecoderOf, LogitsAreTheEngines) {
  torch::NoGradGuard no_grad;
  StockDecoder decoder(*base_, all_weights());
  const auto model = Model::load(path_);
  for (const LaidOutExample& example : laid_out_examples(base_->config().window)) {
    const at::Tensor expected = engine_logits(*model, example);
    const at::Tensor got = decoder.logits(pack({&example, 1}, base_->config().window));
    ASSERT_EQ(got.sizes(), expected.sizes());
    EXPECT_GT(expected.abs().max().item<double>(), 0.5);
    EXPECT_LT(distance(got, expected), 4e-3);  // ggml looks GELU up in a table of f16
  }
}

TEST_P(StockDecoderOf, AnAdapterIsTheWeightsThatItStandsFor) {
  torch::NoGradGuard no_grad;
  StockDecoder adapted(*base_, adapters()), merged(*base_, all_weights());
  const auto examples = laid_out_examples(base_->config().window);
  const Batch batch = pack(examples, base_->config().window);
  EXPECT_LT(distance(adapted.logits(batch), merged.logits(batch)), 1e-5) << "a fresh adapter";
  stir(adapted);
  const auto parts = adapted.parameters(adapted.flat());
  for (Parameter& whole : merged.parameters(merged.flat())) {
    for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
      if (parts[i].name != whole.name + ".lora_a") continue;
      whole.value.add_(at::mm(parts[i + 1].value, parts[i].value), 6.0 / 4.0);
    }
  }
  StockDecoder plain(*base_, all_weights());
  EXPECT_GT(distance(adapted.logits(batch), plain.logits(batch)), 0.1) << "the adapter does nothing";
  EXPECT_LT(distance(adapted.logits(batch), merged.logits(batch)), 2e-3);
}

TEST_P(StockDecoderOf, ActivationsCalculatedAgainGiveTheSameGradients) {
  StockDecoderOptions again = adapters();
  again.recompute_activations = true;
  again.dropout = 0.2;
  again.adapter->dropout = 0.2;
  StockDecoderOptions once = again;
  once.recompute_activations = false;
  const auto examples = laid_out_examples(base_->config().window);
  const Batch batch = pack(examples, base_->config().window);
  std::vector<at::Tensor> gradients;
  for (const StockDecoderOptions& options : {once, again}) {
    StockDecoder decoder(*base_, options);
    stir(decoder);
    seed_dropout(3);
    decoder.loss(batch, 0.1, 10.0).mean.backward();
    gradients.push_back(decoder.gradients().clone());
  }
  EXPECT_GT(gradients[0].abs().max().item<double>(), 1e-3);
  EXPECT_LT(distance(gradients[0], gradients[1]), 1e-6);
}

INSTANTIATE_TEST_SUITE_P(Families, StockDecoderOf, ::testing::ValuesIn(family_shapes()),
                         [](const auto& family) { return family.param.first; });

FamilyShape small_gemma() {
  for (const auto& [name, shape] : family_shapes()) {
    if (name == "gemma3") return shape;
  }
  return {};
}

TEST(StockDecoder, KeptIdsAreColumnsOfTheWholeHead) {
  const TemporaryFolder folder;
  testing::write_tiny_family(folder.file("base.gguf"), small_gemma());
  const BaseModel base(folder.file("base.gguf"));
  const auto examples = laid_out_examples(base.config().window);
  Batch batch = pack(examples, base.config().window);
  for (StockDecoderOptions options : {all_weights(), adapters()}) {
    torch::NoGradGuard no_grad;
    StockDecoder whole(base, options);
    for (int id = 4; id < 32; ++id) options.kept_ids.push_back(TokenId{id});
    StockDecoder kept(base, options);
    EXPECT_LT(distance(kept.logits(batch), whole.logits(batch).narrow(1, 4, 28)), 1e-5);
    // The label of a kept id is its place among them: the loss is that of the softmax over the kept.
    const at::Tensor labels = torch::tensor(at::ArrayRef<std::int32_t>(batch.labels)).to(at::kLong) - 4;
    const at::Tensor expected = at::nll_loss(at::log_softmax(kept.logits(batch), 1), labels, {}, 0);
    EXPECT_LT(distance(kept.loss(batch, 0.0, 1.0).plain, expected), 1e-4);
  }
}

TEST(StockDecoder, MatricesAloneAreTheBaseWithNothingElseToTrain) {
  const TemporaryFolder folder;
  testing::write_tiny_family(folder.file("base.gguf"), small_gemma());
  const BaseModel base(folder.file("base.gguf"));
  StockDecoderOptions options = all_weights();
  StockDecoder all(base, options);
  options.trains = TrainedWeights::kMatrices;
  StockDecoder matrices(base, options);
  for (const Parameter& parameter : matrices.parameters(matrices.flat())) {
    EXPECT_EQ(parameter.kind, ParameterKind::kMatrix) << parameter.name;
  }
  EXPECT_EQ(matrices.n_parameters(), all.n_matrix_parameters());
  EXPECT_NE(matrices.fingerprint(), all.fingerprint());
  const auto examples = laid_out_examples(base.config().window);
  const Batch batch = pack(examples, base.config().window);
  const at::Tensor loss = all.loss(batch, 0.0, 1.0).mean;
  const at::Tensor same = matrices.loss(batch, 0.0, 1.0).mean;
  EXPECT_LT(distance(loss, same), 1e-4);
  loss.backward();
  same.backward();
  EXPECT_LT(distance(matrices.gradients(), all.gradients().narrow(0, 0, matrices.n_parameters())), 1e-4);
}

TEST(StockDecoder, TargetsThatNoLayerHasAreRefused) {
  const TemporaryFolder folder;
  testing::write_tiny_family(folder.file("base.gguf"), small_gemma());
  const BaseModel base(folder.file("base.gguf"));
  StockDecoderOptions options = adapters();
  options.adapter->targets = {"attn_qkv"};
  EXPECT_THROW(StockDecoder(base, options), Error);
  options.adapter->targets = {"attn_q", "ffn_down"};
  StockDecoder decoder(base, options);
  EXPECT_EQ(decoder.parameters(decoder.flat()).size(), 4U * static_cast<std::size_t>(base.config().n_layers));
}

}  // namespace
}  // namespace tandem
