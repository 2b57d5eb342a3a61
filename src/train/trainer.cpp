#include "train/trainer.h"

#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <chrono>
#include <cmath>
#include <filesystem>
#include <numeric>
#include <thread>

#include "tandem/error.h"
#include "train/batching.h"
#include "train/checkpoint.h"
#include "train/collate.h"
#include "train/corpus.h"
#include "train/optimiser.h"
#include "train/shares.h"
#include "train/starting_point.h"
#include "train/training_log.h"

namespace tandem {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kDevExamples = 160;  // per language: a validation must not cost minutes
constexpr double kSmoothing = 0.98;        // of the loss and the speed that are shown
const char* const kLatestFile = "/latest.gguf";

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

std::vector<Prompt> prompts_of(const TrainConfig& config, const Vocabulary& vocabulary) {
  std::vector<Prompt> prompts;
  for (const std::string& language : config.target_languages) {
    prompts.push_back(tokenize_prompt(config.prompt, language, vocabulary));
  }
  return prompts;
}

BatchStream stream_of(const Corpus& corpus, const Collator& collator, const TrainConfig& config) {
  std::vector<int> rows, sets;
  for (std::size_t i = 0; i < corpus.size(); ++i) {
    rows.push_back(collator.count_rows(corpus.example(i)));
    sets.push_back(corpus.set(i));
  }
  return BatchStream(std::move(rows), std::move(sets),
                     {weights_by_set(corpus, config), config.rows_per_batch, config.seed});
}

/// A fixed choice of held-out examples, spread evenly over the dev text, by target language.
std::vector<std::vector<Example>> dev_examples(const Corpus& corpus, std::size_t n_languages) {
  std::vector<std::vector<Example>> all(n_languages), out(n_languages);
  for (std::size_t i = 0; i < corpus.size(); ++i) {
    const Example example = corpus.example(i);
    for (const TargetText& target : example.targets) {
      Example one = example;
      one.targets = {target};
      all[static_cast<std::size_t>(target.language)].push_back(std::move(one));
    }
  }
  for (std::size_t language = 0; language < n_languages; ++language) {
    const std::size_t n = all[language].size(), kept = std::min(n, kDevExamples);
    for (std::size_t i = 0; i < kept; ++i) out[language].push_back(std::move(all[language][i * n / kept]));
  }
  return out;
}

std::vector<WaitK> validation_ks() {
  return {WaitK(1), WaitK(3), WaitK(7), WaitK::unlimited()};
}

std::string name_of(WaitK k) {
  return k.is_unlimited() ? "inf" : std::to_string(k.value());
}

class Run {
 public:
  Run(const TrainConfig& config, const TrainOptions& options);
  void train();

 private:
  struct StepResult {
    double loss = 0.0, gradient_norm = 0.0;
    std::size_t n_rows = 0, n_labels = 0;
  };

  void resume();
  std::vector<Batch> next_shares(Random& random);
  StepResult take_step();
  void account(const StepResult& result, double seconds);
  std::vector<DevLoss> validate();
  double dev_loss(const std::vector<Example>& examples, WaitK k);
  void save();
  void export_to(const std::string& path);
  void report(const StepResult& result) const;
  void note(const std::string& text) const;
  std::string fingerprint() const;

  const TrainConfig& config_;
  const TrainOptions& options_;
  const int threads_;
  std::unique_ptr<StartingPoint> start_;
  Corpus corpus_;
  std::vector<std::vector<Example>> dev_;
  Collator collator_;
  BatchStream batches_;
  std::unique_ptr<TrainableDecoder> decoder_;
  Optimiser optimiser_;
  TrainingLog log_;

  std::int64_t step_ = 0;
  double seconds_ = 0.0;  // in steps, over all sessions of the run
  double shown_loss_ = 0.0, shown_step_seconds_ = 0.0, shown_rows_ = 0.0, shown_labels_ = 0.0;
  double shown_weight_ = 0.0;  // of the four above
  double loss_since_log_ = 0.0;
  std::int64_t steps_since_log_ = 0;
};

Run::Run(const TrainConfig& config, const TrainOptions& options)
    : config_(config),
      options_(options),
      threads_(at::get_num_threads()),
      start_(open_starting_point(config)),
      corpus_(start_->read_training_text()),
      collator_(prompts_of(config, start_->vocabulary()), config, start_->window()),
      batches_(stream_of(corpus_, collator_, config)),
      decoder_(start_->make_decoder()),
      optimiser_(*decoder_, config),
      log_(config.checkpoint_dir) {
  check_every_language_has_text(corpus_, config);
  if (!config.dev.empty()) {
    dev_ = dev_examples(start_->read_text(config.dev), config.target_languages.size());
  }
  note(fmt::format("{} examples with {} targets, {} tokens; {} parameters; {} pieces; products in {}",
                   corpus_.size(), corpus_.n_targets(), corpus_.n_tokens(), decoder_->n_parameters(),
                   start_->vocabulary().size(), name_of(config.matmul)));
  if (is_emulated(config.matmul)) {
    note("this CPU has no instructions for bf16 products: matmul = \"auto\" would be some 40 times faster");
  }
  if (options.resume) resume();
  log_.begin(step_);
}

std::string Run::fingerprint() const {
  return fmt::format("{} average {}", decoder_->fingerprint(), config_.average_decay > 0.0 ? "yes" : "no");
}

void Run::resume() {
  const auto loaded = load_checkpoint(config_.checkpoint_dir, fingerprint());
  if (!loaded) return;
  if (!loaded->warning.empty()) note(loaded->warning + "; going on from the one before");
  const Checkpoint& checkpoint = loaded->checkpoint;
  std::vector<at::Tensor> buffers = {decoder_->flat(), optimiser_.first_moments(),
                                     optimiser_.second_moments()};
  if (optimiser_.average().defined()) buffers.push_back(optimiser_.average());
  TANDEM_CHECK(checkpoint.buffers.size() == buffers.size());
  for (std::size_t i = 0; i < buffers.size(); ++i) {
    TANDEM_CHECK(static_cast<std::int64_t>(checkpoint.buffers[i].size()) == buffers[i].numel());
    std::copy(checkpoint.buffers[i].begin(), checkpoint.buffers[i].end(), buffers[i].data_ptr<float>());
  }
  step_ = checkpoint.step;
  seconds_ = checkpoint.seconds;
  batches_.skip(step_ * config_.accumulate);
  note(fmt::format("going on after {} steps", step_));
}

/// The next batch, divided among the threads.
std::vector<Batch> Run::next_shares(Random& random) {
  std::vector<Example> examples;
  std::vector<int> rows;
  for (const std::int32_t index : batches_.next()) {
    examples.push_back(corpus_.example(static_cast<std::size_t>(index)));
    rows.push_back(collator_.count_rows(examples.back()));
  }
  std::vector<const Example*> pointers;
  for (const Example& example : examples) pointers.push_back(&example);
  std::vector<Batch> shares;
  const std::int64_t n_rows = std::accumulate(rows.begin(), rows.end(), std::int64_t{0});
  const std::size_t n_shares = count_shares(threads_, decoder_->n_parameters(), n_rows);
  for (const Examples share : divide(pointers, rows, n_shares)) {
    shares.push_back(collator_.collate(share, random));
  }
  return shares;
}

/// loss = sum over the labels of all batches of the step / their number.
Run::StepResult Run::take_step() {
  StepResult result;
  // All draws are decided by the step, so that a resumed run draws the same.
  Random random{config_.seed, 0x73746570U, static_cast<std::uint64_t>(step_)};
  LossOptions options{config_.label_smoothing, 1.0, 0, threads_};
  std::vector<std::vector<Batch>> batches;
  for (int i = 0; i < config_.accumulate; ++i) {
    batches.push_back(next_shares(random));
    for (const Batch& share : batches.back()) {
      result.n_rows += share.n_rows();
      result.n_labels += share.labels.size();
    }
  }
  options.divisor = static_cast<double>(result.n_labels);
  for (const std::vector<Batch>& shares : batches) {
    options.seed = random.next();
    result.loss += add_gradients(*decoder_, shares, options) / options.divisor;
  }
  if (!std::isfinite(result.loss)) {
    throw Error(
        ErrorCode::kInvalidArgument,
        fmt::format("training: the loss of step {} is not finite; a lower learning_rate than {} may help",
                    step_, config_.learning_rate));
  }
  result.gradient_norm = optimiser_.step(step_);
  ++step_;
  return result;
}

void Run::account(const StepResult& result, double seconds) {
  seconds_ += seconds;
  const auto blend = [](double& shown, double value) {
    shown = kSmoothing * shown + (1.0 - kSmoothing) * value;
  };
  blend(shown_loss_, result.loss);
  blend(shown_step_seconds_, seconds);
  blend(shown_rows_, static_cast<double>(result.n_rows));
  blend(shown_labels_, static_cast<double>(result.n_labels));
  blend(shown_weight_, 1.0);
  loss_since_log_ += result.loss;
  ++steps_since_log_;
}

double Run::dev_loss(const std::vector<Example>& examples, WaitK k) {
  constexpr std::size_t kPerBatch = 40;
  double sum = 0.0;
  std::size_t n_labels = 0;
  for (std::size_t begin = 0; begin < examples.size(); begin += kPerBatch) {
    std::vector<const Example*> pointers;
    for (std::size_t i = begin; i < std::min(examples.size(), begin + kPerBatch); ++i)
      pointers.push_back(&examples[i]);
    const Batch batch = collator_.collate_at(pointers, k);
    sum += decoder_->loss(batch, 0.0, 1.0).plain.sum().item<double>();
    n_labels += batch.labels.size();
  }
  return sum / static_cast<double>(n_labels);
}

/// Of the weights that would be exported: the average, if one is kept, stands in for the parameters
/// meanwhile.
std::vector<DevLoss> Run::validate() {
  torch::NoGradGuard no_grad;
  const bool swapped = optimiser_.average().defined();
  const at::Tensor own = swapped ? decoder_->flat().clone() : at::Tensor();
  if (swapped) decoder_->flat().copy_(optimiser_.average());
  decoder_->set_training(false);
  std::vector<DevLoss> losses;
  for (std::size_t language = 0; language < dev_.size(); ++language) {
    if (dev_[language].empty()) continue;
    for (const WaitK k : validation_ks()) {
      losses.push_back({config_.target_languages[language], name_of(k), dev_loss(dev_[language], k)});
    }
  }
  decoder_->set_training(true);
  if (swapped) decoder_->flat().copy_(own);
  return losses;
}

void Run::save() {
  const auto view = [](const at::Tensor& tensor) {
    return std::span<const float>(tensor.data_ptr<float>(), static_cast<std::size_t>(tensor.numel()));
  };
  CheckpointView checkpoint{step_, seconds_, fingerprint(), {}};
  checkpoint.buffers = {view(decoder_->flat()), view(optimiser_.first_moments()),
                        view(optimiser_.second_moments())};
  if (optimiser_.average().defined()) checkpoint.buffers.push_back(view(optimiser_.average()));
  save_checkpoint(config_.checkpoint_dir, checkpoint);
  export_to(config_.checkpoint_dir + kLatestFile);
}

void Run::export_to(const std::string& path) {
  start_->write(path, *decoder_, optimiser_.best());
}

void Run::report(const StepResult& result) const {
  if (!options_.on_report) return;
  TrainReport report;
  report.step = step_;
  report.total_steps = config_.total_steps;
  report.epochs = batches_.epochs();
  report.seconds = seconds_;
  report.seconds_left =
      static_cast<double>(config_.total_steps - step_) * shown_step_seconds_ / shown_weight_;
  report.loss = shown_loss_ / shown_weight_;
  report.learning_rate = learning_rate_at(config_, step_ - 1);
  report.gradient_norm = result.gradient_norm;
  report.rows_per_second = shown_rows_ / shown_step_seconds_;
  report.tokens_per_second = shown_labels_ / shown_step_seconds_;
  options_.on_report(report);
}

void Run::note(const std::string& text) const {
  if (!options_.on_report) return;
  TrainReport report;
  report.step = step_;
  report.total_steps = config_.total_steps;
  report.seconds = seconds_;
  report.note = text;
  options_.on_report(report);
}

void Run::train() {
  Clock::time_point last_save = Clock::now();
  while (step_ < config_.total_steps && !options_.stop.stop_requested()) {
    const Clock::time_point start = Clock::now();
    const StepResult result = take_step();
    account(result, seconds_since(start));
    report(result);
    if (step_ % config_.validate_every_steps == 0 || step_ == config_.total_steps) {
      TrainReport validation;
      validation.step = step_;
      validation.dev = validate();
      log_.add(step_, seconds_, loss_since_log_ / static_cast<double>(steps_since_log_), validation.dev);
      loss_since_log_ = 0.0;
      steps_since_log_ = 0;
      if (options_.on_report && !validation.dev.empty()) options_.on_report(validation);
    }
    if (seconds_since(last_save) >= config_.checkpoint_every_seconds) {
      save();
      last_save = Clock::now();
    }
  }
  save();
  if (step_ < config_.total_steps) {
    note("stopped; the checkpoint is written, --resume goes on from here");
  } else {
    export_to(config_.model_path);
    note("done: " + config_.model_path);
  }
}

}  // namespace

void run_training(const TrainConfig& config, const TrainOptions& options) {
  std::error_code error;
  std::filesystem::create_directories(config.checkpoint_dir, error);
  if (error)
    throw Error(ErrorCode::kIo,
                fmt::format("{}: cannot make the folder: {}", config.checkpoint_dir, error.message()));
  if (!options.resume && has_checkpoint(config.checkpoint_dir)) {
    throw Error(
        ErrorCode::kInvalidArgument,
        fmt::format("{}: expected a folder without a checkpoint, got one with: resume that run, or name "
                    "another checkpoint_dir",
                    config.checkpoint_dir));
  }
  const int threads =
      options.threads > 0 ? options.threads : static_cast<int>(std::thread::hardware_concurrency());
  at::set_num_threads(std::max(1, threads));
  Run(config, options).train();
}

}  // namespace tandem
