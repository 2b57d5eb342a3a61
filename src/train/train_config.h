// A training run as its TOML file says it. Every key is checked when it is read: an unknown one is an error
// that names the nearest known one, so that a typing mistake cannot silently train something else.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "stream/wait_k.h"
#include "text/prompt.h"
#include "train/matmul_type.h"

namespace tandem {

/// How the last row of a target word is trained (DESIGN: "training asks both questions").
enum class BoundaryRows {
  kDraw,       // one copy, its visibility drawn old or new with equal chance
  kBoth,       // two copies with the same label; later rows see the one with the new visibility
  kReference,  // always the new visibility, as in the paper's code (runs on at small k; for comparison)
};

enum class OptimiserKind { kAdamW, kMuon };  // Muon: hidden matrices only, the rest stays with AdamW

/// Parallel text: either one TSV (columns set, source, then one per target language) or two plain files.
struct DataFile {
  std::string tsv;
  std::string source, target,
      language;     // plain files: line N of one is the translation of line N of the other
  std::string set;  // name of the set (plain files)
};

/// Low-rank adapters beside the weights of a base (LoRA): y = W x + (alpha / rank) B A x.
struct AdapterShape {
  int rank = 16;
  double alpha = 16.0;
  double dropout = 0.0;              // of the adapter's input
  std::vector<std::string> targets;  // parts of a layer by llama.cpp's names ("attn_q"); empty: all of them
};

/// Which weights of a base are trained where no adapter is.
enum class TrainedWeights {
  kAll,
  kMatrices,  // of the layers, which is what an adapter can carry; embeddings, head and norms stay the base's
};

/// A stock model to go on from.
struct BaseOptions {
  std::string model;          // any supported family's GGUF
  std::string start_adapter;  // an adapter of the same shape to begin with; empty: a fresh one
  int kept_pieces = 0;        // only the most frequent pieces of the targets get logits; 0: all pieces
  bool recompute_activations = false;
  TrainedWeights trains = TrainedWeights::kAll;
};

struct TrainConfig {
  // [data]
  std::vector<DataFile> train, dev;
  std::vector<std::pair<std::string, double>> set_weights;  // how often a set's pairs are drawn; default 1
  std::string source_language = "en";
  std::vector<std::string> target_languages;
  std::vector<std::string> licences;  // written into the model file
  int max_rows = 160;                 // longer examples are left out

  // [vocabulary]
  int vocabulary_size = 8000;
  double character_coverage = 1.0;  // share of all characters that get a piece; the rest is spelt in bytes
  std::int64_t vocabulary_sentences = 1000000;  // sentences, of both sides, drawn to train it on

  // [prompt]
  PromptTemplate prompt;

  // [base] and [lora]; without a base the model is trained from scratch, without [lora] all of the base is
  std::optional<BaseOptions> base;
  std::optional<AdapterShape> lora;

  // [model]: LLaMA-type decoder, tied embeddings
  int n_layers = 6, width = 256, n_heads = 4, n_kv_heads = 4, ff_width = 768;
  int context_length = 1024;
  double rope_base = 10000.0;
  double phi = 0.0;

  // [streaming]
  std::vector<WaitK> ks;  // one is drawn per target and step
  std::vector<double> k_weights;
  BoundaryRows boundary = BoundaryRows::kDraw;
  int no_repeat_ngram = 0;  // what the file says of decoding; training knows nothing of it

  // [optimiser]
  OptimiserKind optimiser = OptimiserKind::kAdamW;
  double learning_rate = 2e-3, beta1 = 0.9, beta2 = 0.98, epsilon = 1e-9, weight_decay = 0.01,
         clip_norm = 1.0;
  double label_smoothing = 0.0, dropout = 0.0;
  double decay_share =
      1.0;                  // last part of the run over which the rate falls; less leaves room to go on later
  double final_rate = 0.0;  // share of learning_rate that is left at total_steps
  double average_decay = 0.0;  // of a moving average of the weights, which is what is exported; 0: none
  int warmup_steps = 200;
  std::int64_t total_steps = 1000;  // where the decay ends
  int rows_per_batch = 4000;
  int accumulate = 1;
  MatmulType matmul = fastest_matmul_type();
  std::uint64_t seed = 1;

  // [output]
  std::string model_path;      // the GGUF that the run ends in
  std::string checkpoint_dir;  // outside the work tree for long runs
  int checkpoint_every_seconds = 300;
  int validate_every_steps = 500;
  std::string summary;  // one line for the model file
};

/// Reads and checks a configuration. Relative paths are taken from the file's folder.
/// Throws Error{kInvalidArgument} with file, line, key, expected and got.
TrainConfig read_train_config(const std::string& path);

}  // namespace tandem
