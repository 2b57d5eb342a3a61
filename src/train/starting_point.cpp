#include "train/starting_point.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "tandem/error.h"
#include "text/prompt.h"
#include "text/spelling.h"
#include "train/base_model.h"
#include "train/gguf_export.h"
#include "train/scratch_decoder.h"
#include "train/stock_decoder.h"
#include "train/vocabulary_trainer.h"

namespace tandem {
namespace {

const char* const kVocabularyFile = "/vocabulary.gguf";

std::vector<NamedTensor> named_tensors(const std::vector<Parameter>& parameters) {
  std::vector<NamedTensor> tensors;
  for (const Parameter& parameter : parameters) {
    const auto sizes = parameter.value.sizes();
    TANDEM_CHECK(parameter.value.is_contiguous());
    tensors.push_back({parameter.name, {sizes.rbegin(), sizes.rend()}, parameter.value.data_ptr<float>()});
  }
  return tensors;
}

class Scratch final : public StartingPoint {
 public:
  explicit Scratch(const TrainConfig& config)
      : config_(config), vocabulary_(open_run_vocabulary(config, config.checkpoint_dir + kVocabularyFile)) {}

  const Vocabulary& vocabulary() const override { return *vocabulary_.vocabulary; }
  Corpus read_training_text() override { return read_corpus(config_, config_.train, vocabulary()); }
  Corpus read_text(const std::vector<DataFile>& files) const override {
    return read_corpus(config_, files, vocabulary());
  }

  std::unique_ptr<TrainableDecoder> make_decoder() const override {
    DecoderShape shape;
    shape.n_layers = config_.n_layers;
    shape.width = config_.width;
    shape.n_heads = config_.n_heads;
    shape.n_kv_heads = config_.n_kv_heads;
    shape.ff_width = config_.ff_width;
    shape.vocabulary_size = vocabulary().size();
    shape.rope_base = config_.rope_base;
    return std::make_unique<ScratchDecoder>(shape, config_.matmul, config_.dropout, config_.seed);
  }

  void write(const std::string& path, const TrainableDecoder& decoder,
             const at::Tensor& flat) const override {
    export_model(path, config_, vocabulary_.tables, named_tensors(decoder.parameters(flat)),
                 StoredType::kFloat32);
  }

 private:
  const TrainConfig& config_;
  RunVocabulary vocabulary_;
};

class Stock final : public StartingPoint {
 public:
  explicit Stock(const TrainConfig& config) : config_(config), base_(config.base->model) {}

  const Vocabulary& vocabulary() const override { return *base_.vocabulary(); }
  int window() const override { return base_.config().window; }
  Corpus read_training_text() override;
  Corpus read_text(const std::vector<DataFile>& files) const override {
    return read_corpus(config_, files, vocabulary(), spelling_);
  }
  std::unique_ptr<TrainableDecoder> make_decoder() const override;
  void write(const std::string& path, const TrainableDecoder& decoder, const at::Tensor& flat) const override;

 private:
  std::vector<TokenId> ids_always_kept() const;
  void take_start_adapter(TrainableDecoder& decoder) const;
  void add_untrained(std::vector<Parameter>& parameters) const;

  const TrainConfig& config_;
  BaseModel base_;
  std::vector<TokenId> kept_ids_;
  Spelling spelling_;
};

/// What ends a target, whichever of its tokens comes first.
std::vector<TokenId> Stock::ids_always_kept() const {
  std::vector<TokenId> ids;
  for (const std::string& language : config_.target_languages) {
    const Prompt prompt = tokenize_prompt(config_.prompt, language, vocabulary());
    ids.insert(ids.end(), prompt.end.begin(), prompt.end.end());
    ids.insert(ids.end(), prompt.target_prefix.begin(), prompt.target_prefix.end());
  }
  return ids;
}

Corpus Stock::read_training_text() {
  Corpus whole = read_corpus(config_, config_.train, vocabulary());
  if (config_.base->kept_pieces == 0) return whole;
  kept_ids_ =
      choose_kept_ids(count_target_tokens(whole, vocabulary().size()),
                      static_cast<std::size_t>(config_.base->kept_pieces), vocabulary(), ids_always_kept());
  spelling_ = spell_all(vocabulary(), kept_ids_);
  return read_text(config_.train);
}

std::unique_ptr<TrainableDecoder> Stock::make_decoder() const {
  StockDecoderOptions options;
  options.matmul = config_.matmul;
  options.adapter = config_.lora;
  options.trains = config_.base->trains;
  options.kept_ids = kept_ids_;
  options.recompute_activations = config_.base->recompute_activations;
  options.dropout = config_.dropout;
  options.seed = config_.seed;
  auto decoder = std::make_unique<StockDecoder>(base_, options);
  if (!config_.base->start_adapter.empty()) take_start_adapter(*decoder);
  return decoder;
}

void Stock::take_start_adapter(TrainableDecoder& decoder) const {
  const std::string& path = config_.base->start_adapter;
  const auto file = GgufFile::open(path);
  const double alpha = file->real("adapter.lora.alpha");
  for (Parameter& parameter : decoder.parameters(decoder.flat())) {
    const StoredTensor* stored = file->find_tensor(parameter.name);
    const auto sizes = parameter.value.sizes();
    if (stored == nullptr || stored->shape[0] != sizes[1] || stored->shape[1] != sizes[0]) {
      throw Error(
          ErrorCode::kInvalidArgument,
          fmt::format("{}: {}: expected {} x {} values, as [lora] says, got {}", path, parameter.name,
                      sizes[0], sizes[1],
                      stored == nullptr ? std::string("no such tensor")
                                        : fmt::format("{} x {}", stored->shape[1], stored->shape[0])));
    }
    parameter.value.copy_(tensor_of(*stored));
    // The file's strength may differ from the run's: B carries the difference.
    if (parameter.name.ends_with(".lora_b")) parameter.value.mul_(alpha / config_.lora->alpha);
  }
}

/// What the base has beside the parameters.
void Stock::add_untrained(std::vector<Parameter>& parameters) const {
  const std::size_t n_trained = parameters.size();
  for (const StoredTensor& stored : base_.file().tensors()) {
    const auto trained = std::span(parameters).first(n_trained);
    if (std::any_of(trained.begin(), trained.end(),
                    [&](const Parameter& p) { return p.name == stored.name; }))
      continue;
    parameters.push_back({stored.name, ParameterKind::kNorm, tensor_of(stored)});
  }
}

void Stock::write(const std::string& path, const TrainableDecoder& decoder, const at::Tensor& flat) const {
  std::vector<Parameter> parameters = decoder.parameters(flat);
  if (!config_.lora) {
    add_untrained(parameters);
    export_tuned(path, config_, base_.file().path(), kept_ids_, named_tensors(parameters),
                 StoredType::kFloat32);
    return;
  }
  const AdapterFile adapter{base_.config().architecture, base_.file().find_text("general.name").value_or(""),
                            config_.lora->alpha, kept_ids_};
  export_adapter(path, config_, adapter, named_tensors(parameters), StoredType::kFloat16);
}

}  // namespace

std::unique_ptr<StartingPoint> open_starting_point(const TrainConfig& config) {
  if (config.base) return std::make_unique<Stock>(config);
  return std::make_unique<Scratch>(config);
}

}  // namespace tandem
