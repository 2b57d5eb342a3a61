// Whole steps: the loss falls to nothing on a handful of pairs, and a run that stopped and went on is the run
// that did not stop, to the bit.
#include <gtest/gtest.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <filesystem>
#include <fstream>

#include "tandem/error.h"
#include "train/optimiser.h"
#include "train/scratch_decoder.h"
#include "train/trainer.h"
#include "training_examples.h"

namespace tandem {
namespace {

TrainConfig small_config(OptimiserKind kind, MatmulType matmul) {
  TrainConfig config;
  config.ks = {WaitK::unlimited()};
  config.boundary = BoundaryRows::kReference;
  config.optimiser = kind;
  config.matmul = matmul;
  config.learning_rate = 1e-2;
  config.warmup_steps = 10;
  config.total_steps = 150;
  return config;
}

double loss_after_memorising(OptimiserKind kind, MatmulType matmul) {
  const TrainConfig config = small_config(kind, matmul);
  DecoderShape shape;
  shape.n_layers = 2;
  shape.width = 64;
  shape.n_heads = 4;
  shape.n_kv_heads = 2;
  shape.ff_width = 128;
  shape.vocabulary_size = 40;
  ScratchDecoder decoder(shape, matmul, 0.0, 1);
  Optimiser optimiser(decoder, config);
  const std::vector<Example> examples = random_examples(8, 21);
  std::vector<const Example*> pointers;
  for (const Example& example : examples) pointers.push_back(&example);
  const Collator collator(worked_prompts(), config);
  double loss = 0.0;
  for (std::int64_t step = 0; step < config.total_steps; ++step) {
    Random random{static_cast<std::uint64_t>(step)};
    const Batch batch = collator.collate(pointers, random);
    const Loss out = decoder.loss(batch, 0.0, static_cast<double>(batch.labels.size()));
    out.mean.backward();
    loss = out.plain.mean().item<double>();
    optimiser.step(step);
  }
  return loss;
}

TEST(Training, EightPairsAreMemorised) {
  EXPECT_LT(loss_after_memorising(OptimiserKind::kAdamW, MatmulType::kFloat32), 0.05);
  EXPECT_LT(loss_after_memorising(OptimiserKind::kAdamW, MatmulType::kBfloat16), 0.05);
  EXPECT_LT(loss_after_memorising(OptimiserKind::kMuon, MatmulType::kBfloat16), 0.05);
}

TEST(Training, RateRisesThenFallsToItsEnd) {
  TrainConfig config = small_config(OptimiserKind::kAdamW, MatmulType::kFloat32);
  config.final_rate = 0.1;
  EXPECT_DOUBLE_EQ(learning_rate_at(config, 0), 1e-3);
  EXPECT_DOUBLE_EQ(learning_rate_at(config, 9), 1e-2);
  EXPECT_DOUBLE_EQ(learning_rate_at(config, 80), 1e-2 * 0.55);
  EXPECT_DOUBLE_EQ(learning_rate_at(config, 150), 1e-3);
  EXPECT_DOUBLE_EQ(learning_rate_at(config, 1000), 1e-3);
}

TEST(Training, OrthogonalisedMatricesHaveSingularValuesNearOne) {
  torch::manual_seed(2);
  const at::Tensor values = std::get<1>(at::linalg_svd(orthogonalise(torch::randn({3, 20, 50}), at::kFloat)));
  EXPECT_GT(values.min().item<double>(), 0.5);
  EXPECT_LT(values.max().item<double>(), 1.5);
}

/// Pairs of numbers in words, as TSV: enough for a vocabulary of 300-odd pieces.
std::string counting_tsv() {
  const char* english[] = {"one", "two", "three", "four", "five", "six", "seven", "eight", "nine"};
  const char* german[] = {"eins", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun"};
  std::string tsv = "set\tsource\tde\n";
  for (int i = 0; i < 9; ++i) {
    for (int j = 0; j < 9; ++j) {
      tsv += std::string("count\t") + english[i] + " and " + english[j] + "\t" + german[i] + " und " +
             german[j] + "\n";
    }
  }
  return tsv;
}

class RunTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "tandem-run-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    dir_ = name;
    std::ofstream(dir_ + "/train.tsv") << counting_tsv();
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }

  TrainConfig config(const std::string& run) const {
    TrainConfig out = small_config(OptimiserKind::kMuon, MatmulType::kBfloat16);
    out.train = {{dir_ + "/train.tsv", "", "", "", ""}};
    out.dev = out.train;
    out.target_languages = {"de"};
    out.vocabulary_size = 310;
    out.prompt = {"<s>", "</s>", {{"de", "<de>"}}, "</s>"};
    out.n_layers = 2;
    out.width = 32;
    out.n_heads = 2;
    out.n_kv_heads = 1;
    out.ff_width = 48;
    out.max_rows = 60;
    out.rows_per_batch = 200;
    out.accumulate = 2;
    out.ks = {WaitK(1), WaitK(3), WaitK::unlimited()};
    out.boundary = BoundaryRows::kDraw;
    out.dropout = 0.1;
    out.average_decay = 0.9;
    out.total_steps = 20;
    out.validate_every_steps = 5;
    out.checkpoint_dir = dir_ + "/" + run;
    out.model_path = out.checkpoint_dir + "/model.gguf";
    return out;
  }

  static std::string bytes_of(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }

  std::string dir_;
};

TEST_F(RunTest, StoppedAndResumedEqualsUninterrupted) {
  std::vector<double> whole, parts;
  TrainOptions options;
  options.threads = 2;
  options.on_report = [&](const TrainReport& report) {
    if (report.note.empty() && report.dev.empty()) whole.push_back(report.gradient_norm);
  };
  run_training(config("whole"), options);

  std::stop_source stop;
  options.stop = stop.get_token();
  options.on_report = [&](const TrainReport& report) {
    if (report.note.empty() && report.dev.empty()) parts.push_back(report.gradient_norm);
    if (report.step == 7) stop.request_stop();
  };
  run_training(config("parts"), options);
  EXPECT_EQ(parts.size(), 7U);
  EXPECT_FALSE(std::filesystem::exists(dir_ + "/parts/model.gguf"));
  EXPECT_THROW(run_training(config("parts"), options), Error);  // a checkpoint is there: resume, or elsewhere

  options.stop = {};
  options.resume = true;
  run_training(config("parts"), options);
  EXPECT_EQ(parts, whole);
  EXPECT_TRUE(bytes_of(dir_ + "/whole/model.gguf") == bytes_of(dir_ + "/parts/model.gguf"));
  EXPECT_FALSE(bytes_of(dir_ + "/whole/model.gguf").empty());
}

}  // namespace
}  // namespace tandem
