// Trainer and engine are one network: the logits that the trainer computes for a batch are those that the
// engine computes from the exported file, row by row, under the same visibilities, for every type that a file
// may have.
#include <gtest/gtest.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <cmath>
#include <cstring>

#include "model/gguf_file.h"
#include "model/model.h"
#include "model/quantize.h"
#include "train/gguf_export.h"
#include "train/scratch_decoder.h"
#include "train_support.h"
#include "training_examples.h"

namespace tandem {
namespace {

using testing::TemporaryFolder;

TrainConfig parity_config(double phi) {
  TrainConfig config;
  config.target_languages = {"de", "fr"};
  config.prompt = {.source_prefix = "<s>",
                   .source_suffix = "</s>",
                   .target_prefix = {{"de", "</s>"}, {"fr", "<s>"}},
                   .end = "</s>"};
  config.n_layers = 2;
  config.width = 256;
  config.n_heads = 4;
  config.n_kv_heads = 2;
  config.ff_width = 256;
  config.phi = phi;
  config.ks = {WaitK(1), WaitK(3), WaitK::unlimited()};
  config.boundary = BoundaryRows::kBoth;
  return config;
}

DecoderShape shape_of(const TrainConfig& config, std::size_t n_pieces) {
  DecoderShape shape;
  shape.n_layers = config.n_layers;
  shape.width = config.width;
  shape.n_heads = config.n_heads;
  shape.n_kv_heads = config.n_kv_heads;
  shape.ff_width = config.ff_width;
  shape.vocabulary_size = static_cast<std::int64_t>(n_pieces);
  shape.rope_base = config.rope_base;
  return shape;
}

void export_decoder(const std::string& path, const TrainConfig& config, const TokenizerTables& tables,
                    const ScratchDecoder& decoder, const at::Tensor& flat) {
  std::vector<NamedTensor> tensors;
  for (const Parameter& parameter : decoder.parameters(flat)) {
    const auto sizes = parameter.value.sizes();
    tensors.push_back({parameter.name, {sizes.rbegin(), sizes.rend()}, parameter.value.data_ptr<float>()});
  }
  export_model(path, config, tables, tensors, StoredType::kFloat32);
}

/// Gives the decoder the weights of a file, whatever their type: rounded as the engine has them.
void take_weights(ScratchDecoder& decoder, const TemporaryFolder& folder, const std::string& path) {
  quantize_file(path, folder.file("rounded.gguf"), "f32");
  const auto file = GgufFile::open(folder.file("rounded.gguf"));
  for (Parameter& parameter : decoder.parameters(decoder.flat())) {
    const auto data = file->find_tensor(parameter.name)->data;
    ASSERT_EQ(data.size(), static_cast<std::size_t>(parameter.value.numel()) * sizeof(float));
    std::memcpy(parameter.value.data_ptr<float>(), data.data(), data.size());
  }
}

/// The engine's logits of the rows that have a label, one pass per row: as far from the trainer's batch as
/// can be.
std::vector<float> engine_logits(const std::string& path, const LaidOutExample& example) {
  const auto network = Model::load(path)->make_network({.n_slots = 256, .attention = Attention::kPlain});
  const CacheSpan span = network->reserve(256);
  std::vector<float> all;
  for (std::size_t row = 0; row < example.rows.size(); ++row) {
    const PassRow pass_row{.token = TokenId{example.tokens[row]},
                           .place = example.rows[row],
                           .wants_logits = example.labels[row] >= 0};
    const std::vector<SessionRows> pass = {
        {.span = span, .cached = std::span(example.rows).first(row + 1), .rows = {pass_row}}};
    for (const auto logits : network->evaluate(pass).all) all.insert(all.end(), logits.begin(), logits.end());
  }
  return all;
}

struct FileType {
  const char* name;
  double tolerance;  // of the largest difference, relative to the largest logit
};

void PrintTo(const FileType& type, std::ostream* out) {
  *out << type.name;
}

class Parity : public ::testing::TestWithParam<FileType> {};

TEST_P(Parity, TheEngineComputesTheTrainersLogits) {
  const TemporaryFolder folder;
  const std::string vocabulary = std::string(TANDEM_TEST_DIR) + "/text/fixture.gguf";
  const TokenizerTables tables = read_tokenizer_tables(*GgufFile::open(vocabulary));
  for (const double phi : {0.0, 0.5, 128.0}) {
    const TrainConfig config = parity_config(phi);
    ScratchDecoder decoder(shape_of(config, tables.pieces.size()), MatmulType::kFloat32, 0.0, 7);
    torch::NoGradGuard no_grad;
    decoder.flat().mul_(
        1.4);  // a fresh decoder attends evenly everywhere: sharpen it, so that a wrong mask would show
    export_decoder(folder.file("f32.gguf"), config, tables, decoder, decoder.flat());
    quantize_file(folder.file("f32.gguf"), folder.file("model.gguf"), GetParam().name);
    take_weights(decoder, folder, folder.file("model.gguf"));

    const Collator collator(worked_prompts(), config);
    Random random{5};
    for (const Example& example : random_examples(3, 11)) {
      const LaidOutExample laid_out = collator.lay_out(example, random);
      const at::Tensor expected = decoder.logits(pack({&laid_out, 1})).contiguous();
      const std::vector<float> got = engine_logits(folder.file("model.gguf"), laid_out);
      ASSERT_EQ(static_cast<std::int64_t>(got.size()), expected.numel());
      const auto* values = expected.data_ptr<float>();
      double largest = 0.0;
      double difference = 0.0;
      for (std::size_t i = 0; i < got.size(); ++i) {
        ASSERT_TRUE(std::isfinite(got[i]));
        largest = std::max(largest, std::abs(static_cast<double>(values[i])));
        difference =
            std::max(difference, std::abs(static_cast<double>(values[i]) - static_cast<double>(got[i])));
      }
      EXPECT_GT(largest, 0.1);
      EXPECT_LT(difference / largest, GetParam().tolerance) << GetParam().name << ", phi = " << phi;
    }
  }
}

// What is left beside f32's order of summation is that ggml rounds a row to the weights' type before each
// product.
INSTANTIATE_TEST_SUITE_P(Types, Parity,
                         ::testing::Values(FileType{"f32", 1e-4}, FileType{"f16", 5e-3},
                                           FileType{"bf16", 5e-2}, FileType{"q8_0", 8e-2},
                                           FileType{"q4_k", 0.2}),
                         [](const auto& type) { return std::string(type.param.name); });

}  // namespace
}  // namespace tandem
