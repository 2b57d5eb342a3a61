// Whole steps: the loss falls to nothing on a handful of pairs, and a run that stopped and went on is the run
// that did not stop, to the bit.
#include <gtest/gtest.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <filesystem>
#include <fstream>

#include "model/gguf_file.h"
#include "model/model.h"
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
    out.rows_per_batch = 300;  // enough for two shares
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

  /// A short run from scratch, whose model stands in for a stock one.
  std::string make_base() const {
    TrainConfig out = config("base");
    out.total_steps = 2;
    out.warmup_steps = 1;
    run_training(out, {});
    return out.model_path;
  }

  TrainConfig adapter_config(const std::string& run, const std::string& base) const {
    TrainConfig out = config(run);
    out.base = BaseOptions{.model = base, .kept_pieces = 40};
    out.lora = AdapterShape{.rank = 3, .alpha = 6.0};
    out.optimiser = OptimiserKind::kAdamW;
    out.average_decay = 0.0;
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

TEST_F(RunTest, AnAdapterIsWrittenAsLlamaCppReadsItAndGoesOn) {
  const std::string base = make_base();
  TrainConfig whole = adapter_config("whole", base);
  run_training(whole, {});
  const auto file = GgufFile::open(whole.model_path);
  EXPECT_EQ(file->text("general.type"), "adapter");
  EXPECT_EQ(file->text("general.architecture"), "llama");
  EXPECT_EQ(file->text("adapter.type"), "lora");
  EXPECT_EQ(file->real("adapter.lora.alpha"), 6.0F);
  EXPECT_EQ(file->texts("tandem.languages.target"), std::vector<std::string>{"de"});
  const StoredTensor* a = file->find_tensor("blk.1.ffn_down.weight.lora_a");
  const StoredTensor* b = file->find_tensor("blk.1.ffn_down.weight.lora_b");
  ASSERT_TRUE(a != nullptr && b != nullptr);
  EXPECT_EQ(a->shape[0], 48);  // [n_in, rank]
  EXPECT_EQ(a->shape[1], 3);
  EXPECT_EQ(b->shape[0], 3);  // [rank, n_out]
  EXPECT_EQ(b->shape[1], 32);
  EXPECT_EQ(file->tensors().size(), 2U * 7U * 2U);  // a and b, seven parts, two layers
  const auto kept = file->find_integers("tandem.vocab.kept");
  ASSERT_TRUE(kept.has_value());
  EXPECT_GT(kept->size(), 40U);  // the most frequent, and what spells the rest
  EXPECT_LT(kept->size(), 310U);

  // Stopped half way, it goes on to the same file.
  TrainConfig half = adapter_config("half", base);
  TrainOptions options;
  std::stop_source stop;
  options.stop = stop.get_token();
  options.on_report = [&](const TrainReport& report) {
    if (report.step == 10) stop.request_stop();
  };
  run_training(half, options);
  run_training(half, {.resume = true});
  EXPECT_EQ(bytes_of(half.model_path), bytes_of(whole.model_path));
}

TEST_F(RunTest, AnAdapterIsWhereTheNextRunBegins) {
  const std::string base = make_base();
  TrainConfig first = adapter_config("first", base);
  run_training(first, {});
  TrainConfig second = adapter_config("second", base);
  second.base->start_adapter = first.model_path;
  second.learning_rate = 1e-12;  // goes nowhere: what comes out is what it began with
  run_training(second, {});
  const auto before = GgufFile::open(first.model_path), after = GgufFile::open(second.model_path);
  for (const StoredTensor& tensor : before->tensors()) {
    const auto data = after->find_tensor(tensor.name)->data;
    EXPECT_TRUE(std::equal(data.begin(), data.end(), tensor.data.begin(), tensor.data.end())) << tensor.name;
  }
  second.checkpoint_dir += "-wider";
  second.lora->rank = 4;
  EXPECT_THROW(run_training(second, {}), Error);
}

TEST_F(RunTest, AllWeightsOfABaseAreTunedIntoAModelFile) {
  const std::string base = make_base();
  TrainConfig tuned = adapter_config("tuned", base);
  tuned.lora.reset();
  run_training(tuned, {});
  const auto model = Model::load(tuned.model_path);
  ASSERT_TRUE(model->metadata().has_value());
  EXPECT_GT(model->metadata()->kept_ids.size(), 40U);
  EXPECT_EQ(model->config().n_layers, 2);
  EXPECT_NE(bytes_of(tuned.model_path), bytes_of(base));
}

TEST_F(RunTest, OfMatricesAloneTheRestOfTheFileIsTheBases) {
  const std::string base = make_base();
  TrainConfig tuned = adapter_config("matrices", base);
  tuned.lora.reset();
  tuned.base->trains = TrainedWeights::kMatrices;
  run_training(tuned, {});
  EXPECT_EQ(Model::load(tuned.model_path)->config().n_layers, 2);
  const auto before = GgufFile::open(base), after = GgufFile::open(tuned.model_path);
  ASSERT_EQ(after->tensors().size(), before->tensors().size());
  for (const StoredTensor& tensor : before->tensors()) {
    const auto data = after->find_tensor(tensor.name)->data;
    const bool is_trained = tensor.name.starts_with("blk.") && tensor.name.find("norm") == std::string::npos;
    EXPECT_NE(std::equal(data.begin(), data.end(), tensor.data.begin(), tensor.data.end()), is_trained)
        << tensor.name;
  }
}

}  // namespace
}  // namespace tandem
