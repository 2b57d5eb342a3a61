#include "train/train_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <set>

#include "tandem/error.h"
#include "train/toml_section.h"

namespace tandem {
namespace {

constexpr int kMost = 1 << 24;  // more of anything countable is a typing mistake

/// The file being read: where its relative paths start, and the sections that it has.
struct ConfigFile {
  std::string path;
  toml::table root;

  std::string resolve(const std::string& relative) const {
    if (relative.empty()) return relative;
    const auto folder = std::filesystem::path(path).parent_path();
    return (folder / relative).lexically_normal().string();
  }
};

ConfigFile parse(const std::string& path) {
  if (!std::filesystem::is_regular_file(path)) {
    throw Error(ErrorCode::kNotFound,
                fmt::format("{}: expected a training configuration (TOML), got no such file", path));
  }
  try {
    return {path, toml::parse_file(path)};
  } catch (const toml::parse_error& error) {
    throw Error(ErrorCode::kInvalidArgument, fmt::format("{}:{}: expected TOML: {}", path,
                                                         error.source().begin.line, error.description()));
  }
}

void reject_repeated(const TomlSection& section, const std::string& key,
                     const std::vector<std::string>& values) {
  std::set<std::string> seen;
  for (const std::string& value : values) {
    if (!seen.insert(value).second) section.fail(key, fmt::format("\"{}\" stands there twice", value));
  }
}

DataFile read_data_file(const ConfigFile& file, const std::string& name, const toml::table& table,
                        const std::vector<std::string>& languages) {
  TomlSection entry(file.path, name, table);
  DataFile data;
  entry.read_text("tsv", data.tsv);
  entry.read_text("source", data.source);
  entry.read_text("target", data.target);
  entry.read_text("language", data.language);
  entry.read_text("set", data.set);
  entry.reject_unknown();

  const bool is_plain = !data.source.empty() || !data.target.empty() || !data.language.empty();
  if (data.tsv.empty() == !is_plain) {
    entry.fail("tsv", "expected either tsv = FILE, or source, target and language of two plain files");
  }
  if (is_plain && (data.source.empty() || data.target.empty() || data.language.empty())) {
    entry.fail("source", "expected all of source, target and language");
  }
  if (is_plain && std::find(languages.begin(), languages.end(), data.language) == languages.end()) {
    entry.fail("language", fmt::format("\"{}\" is not in target_languages", data.language));
  }
  if (!data.tsv.empty() && !data.set.empty())
    entry.fail("set", "a TSV names the set of each line in its column set");
  if (is_plain && data.set.empty()) data.set = std::filesystem::path(data.source).filename().string();
  data.tsv = file.resolve(data.tsv);
  data.source = file.resolve(data.source);
  data.target = file.resolve(data.target);
  return data;
}

void read_data_files(const ConfigFile& file, TomlSection& section, const std::string& key,
                     const std::vector<std::string>& languages, std::vector<DataFile>& files) {
  const toml::node* node = section.find(key);
  if (node == nullptr) return;
  const auto* array = node->as_array();
  if (array == nullptr) {
    section.fail(key, fmt::format("expected an array of tables such as {{ tsv = \"train.tsv\" }}, got {}",
                                  describe_node(*node)));
  }
  for (const toml::node& item : *array) {
    const auto* table = item.as_table();
    if (table == nullptr)
      section.fail(item, key, fmt::format("expected a table, got {}", describe_node(item)));
    files.push_back(read_data_file(file, "data." + key, *table, languages));
  }
}

void read_data(const ConfigFile& file, TomlSection section, TrainConfig& config) {
  section.read_text("source_language", config.source_language);
  section.read_texts("target_languages", config.target_languages);
  if (config.target_languages.empty()) section.fail("target_languages", "expected at least one language");
  reject_repeated(section, "target_languages", config.target_languages);
  read_data_files(file, section, "train", config.target_languages, config.train);
  read_data_files(file, section, "dev", config.target_languages, config.dev);
  if (config.train.empty()) section.fail("train", "expected at least one file of parallel text");
  section.read_real_table("set_weights", config.set_weights, 0.0, 1000.0);
  section.read_texts("licences", config.licences);
  section.read_integer("max_rows", config.max_rows, 2, 32000);
  section.reject_unknown();
}

void read_vocabulary(TomlSection section, TrainConfig& config) {
  section.read_integer("size", config.vocabulary_size, 300, 1000000);  // 256 bytes, specials, and some pieces
  section.read_real("character_coverage", config.character_coverage, 0.9, 1.0);
  section.read_integer("sentences", config.vocabulary_sentences, 1, 100000000);
  section.reject_unknown();
}

void read_base(const ConfigFile& file, TomlSection section, TrainConfig& config) {
  BaseOptions base;
  section.read_text("model", base.model);
  section.read_text("start_adapter", base.start_adapter);
  section.read_integer("kept_pieces", base.kept_pieces, 0, kMost);
  section.read_flag("recompute_activations", base.recompute_activations);
  section.read_choice("trains", base.trains,
                      {{"all", TrainedWeights::kAll}, {"matrices", TrainedWeights::kMatrices}});
  section.reject_unknown();
  if (base.model.empty()) section.fail("model", "expected the GGUF file of the model to go on from");
  base.model = file.resolve(base.model);
  base.start_adapter = file.resolve(base.start_adapter);
  config.base = base;
}

void read_lora(TomlSection section, TrainConfig& config) {
  AdapterShape lora;
  section.read_integer("rank", lora.rank, 1, 4096);
  lora.alpha = lora.rank;
  section.read_real("alpha", lora.alpha, 1e-3, 1e6);
  section.read_real("dropout", lora.dropout, 0.0, 0.9);
  section.read_texts("targets", lora.targets);
  section.reject_unknown();
  reject_repeated(section, "targets", lora.targets);
  config.lora = lora;
}

/// What a base brings along must not be asked for beside it.
void refuse_beside_base(TomlSection& root, const char* section) {
  if (root.has(section)) root.fail(section, "expected no such section beside [base], which brings its own");
}

void read_prompt(TomlSection section, TrainConfig& config) {
  PromptTemplate& prompt = config.prompt;
  section.read_text("source_prefix", prompt.source_prefix);
  section.read_text("source_suffix", prompt.source_suffix);
  section.read_text_table("target_prefix", prompt.target_prefix);
  section.read_text("end", prompt.end);
  if (prompt.end.empty()) section.fail("end", "expected the token that ends a target, such as \"</s>\"");
  for (const std::string& language : config.target_languages) {
    const auto entry = std::find_if(prompt.target_prefix.begin(), prompt.target_prefix.end(),
                                    [&](const auto& pair) { return pair.first == language; });
    if (entry == prompt.target_prefix.end() || entry->second.empty()) {
      section.fail("target_prefix",
                   fmt::format("target language \"{}\" has no prefix; one token is needed at least, "
                               "because its row predicts the first word",
                               language));
    }
  }
  for (const auto& [language, prefix] : prompt.target_prefix) {
    const auto& known = config.target_languages;
    if (std::find(known.begin(), known.end(), language) == known.end()) {
      section.fail("target_prefix", fmt::format("\"{}\" is not in target_languages", language));
    }
  }
  section.reject_unknown();
}

void read_model(TomlSection section, TrainConfig& config) {
  section.read_integer("n_layers", config.n_layers, 1, 512);
  section.read_integer("width", config.width, 2, 1 << 16);
  section.read_integer("n_heads", config.n_heads, 1, 1024);
  config.n_kv_heads = config.n_heads;
  section.read_integer("n_kv_heads", config.n_kv_heads, 1, 1024);
  section.read_integer("ff_width", config.ff_width, 1, 1 << 18);
  section.read_integer("context_length", config.context_length, 8, 1 << 20);
  section.read_real("rope_base", config.rope_base, 1.0, 1e9);
  section.reject_unknown();

  if (config.width % config.n_heads != 0) {
    section.fail("width", fmt::format("{} is not a multiple of n_heads = {}", config.width, config.n_heads));
  }
  if (config.width / config.n_heads % 2 != 0) {
    section.fail("width", fmt::format("width / n_heads = {} is odd, but RoPE rotates pairs",
                                      config.width / config.n_heads));
  }
  if (config.n_heads % config.n_kv_heads != 0) {
    section.fail("n_kv_heads",
                 fmt::format("n_heads = {} is not a multiple of {}", config.n_heads, config.n_kv_heads));
  }
  if (config.max_rows > config.context_length) {
    section.fail("context_length",
                 fmt::format("{} is less than [data] max_rows = {}", config.context_length, config.max_rows));
  }
}

WaitK parse_k(const TomlSection& section, const toml::node& node) {
  if (const auto* text = node.as_string(); text != nullptr && text->get() == "inf") return WaitK::unlimited();
  const auto* number = node.as_integer();
  if (number == nullptr || number->get() < 1 || number->get() > 10000) {
    section.fail(node, "ks",
                 fmt::format("expected an integer from 1 to 10000 or \"inf\", got {}", describe_node(node)));
  }
  return WaitK(static_cast<int>(number->get()));
}

void read_ks(TomlSection& section, TrainConfig& config) {
  const toml::node* node = section.find("ks");
  const auto* array = node == nullptr ? nullptr : node->as_array();
  if (array == nullptr || array->empty())
    section.fail("ks", "expected an array such as [1, 3, 5, 7, \"inf\"]");
  for (const toml::node& item : *array) {
    const WaitK k = parse_k(section, item);
    if (std::find(config.ks.begin(), config.ks.end(), k) != config.ks.end()) {
      section.fail(item, "ks", fmt::format("{} stands there twice", describe_node(item)));
    }
    config.ks.push_back(k);
  }
}

void read_k_weights(TomlSection& section, TrainConfig& config) {
  const toml::node* node = section.find("k_weights");
  config.k_weights.assign(config.ks.size(), 1.0);
  if (node == nullptr) return;
  const auto* array = node->as_array();
  if (array == nullptr || array->size() != config.ks.size()) {
    const std::string got = array == nullptr ? describe_node(*node) : std::to_string(array->size());
    section.fail("k_weights",
                 fmt::format("expected one number per k, {} in all, got {}", config.ks.size(), got));
  }
  double sum = 0;
  for (std::size_t i = 0; i < array->size(); ++i) {
    const auto weight = array->get(i)->value<double>();
    if (!weight || !(*weight >= 0) || !std::isfinite(*weight)) {
      section.fail(*array->get(i), "k_weights",
                   fmt::format("expected a number not below 0, got {}", describe_node(*array->get(i))));
    }
    config.k_weights[i] = *weight;
    sum += *weight;
  }
  if (sum <= 0) section.fail("k_weights", "all are 0: no k can be drawn");
}

void read_streaming(TomlSection section, TrainConfig& config) {
  read_ks(section, config);
  read_k_weights(section, config);
  section.read_real("phi", config.phi, 0.0, 1 << 20);
  if (config.phi * 2 != std::floor(config.phi * 2)) {
    section.fail("phi", fmt::format("expected a whole or half number, got {}", config.phi));
  }
  section.read_choice("boundary", config.boundary,
                      {{"draw", BoundaryRows::kDraw},
                       {"both", BoundaryRows::kBoth},
                       {"reference", BoundaryRows::kReference}});
  section.read_integer("no_repeat_ngram", config.no_repeat_ngram, 0, 1000);
  section.reject_unknown();
}

void read_optimiser(TomlSection section, TrainConfig& config) {
  section.read_choice("kind", config.optimiser,
                      {{"adamw", OptimiserKind::kAdamW}, {"muon", OptimiserKind::kMuon}});
  section.read_real("learning_rate", config.learning_rate, 1e-9, 10.0);
  section.read_real("beta1", config.beta1, 0.0, 0.9999999);
  section.read_real("beta2", config.beta2, 0.0, 0.9999999);
  section.read_real("epsilon", config.epsilon, 1e-16, 1.0);
  section.read_real("weight_decay", config.weight_decay, 0.0, 10.0);
  section.read_real("clip_norm", config.clip_norm, 1e-6, 1e6);
  section.read_real("label_smoothing", config.label_smoothing, 0.0, 0.9);
  section.read_real("dropout", config.dropout, 0.0, 0.9);
  section.read_real("decay_share", config.decay_share, 0.0, 1.0);
  section.read_real("final_rate", config.final_rate, 0.0, 1.0);
  section.read_real("average_decay", config.average_decay, 0.0, 0.9999999);
  section.read_integer("warmup_steps", config.warmup_steps, 0, kMost);
  section.read_integer("total_steps", config.total_steps, 1, std::int64_t{1} << 40);
  section.read_integer("rows_per_batch", config.rows_per_batch, 2, kMost);
  section.read_integer("accumulate", config.accumulate, 1, 100000);
  section.read_choice(
      "matmul", config.matmul,
      {{"auto", fastest_matmul_type()}, {"f32", MatmulType::kFloat32}, {"bf16", MatmulType::kBfloat16}});
  std::int64_t seed = static_cast<std::int64_t>(config.seed);
  section.read_integer("seed", seed, 0, std::numeric_limits<std::int64_t>::max());
  config.seed = static_cast<std::uint64_t>(seed);
  section.reject_unknown();

  if (config.warmup_steps > config.total_steps) {
    section.fail("warmup_steps",
                 fmt::format("{} is more than total_steps = {}", config.warmup_steps, config.total_steps));
  }
  if (config.rows_per_batch < config.max_rows) {
    section.fail("rows_per_batch",
                 fmt::format("{} is less than [data] max_rows = {}: the longest example would not fit",
                             config.rows_per_batch, config.max_rows));
  }
}

void read_output(const ConfigFile& file, TomlSection section, TrainConfig& config) {
  section.read_text("model_path", config.model_path);
  section.read_text("checkpoint_dir", config.checkpoint_dir);
  section.read_integer("checkpoint_every_seconds", config.checkpoint_every_seconds, 1, kMost);
  section.read_integer("validate_every_steps", config.validate_every_steps, 1, kMost);
  section.read_text("summary", config.summary);
  section.reject_unknown();
  if (config.model_path.empty()) section.fail("model_path", "expected the GGUF file that the run ends in");
  if (config.checkpoint_dir.empty()) section.fail("checkpoint_dir", "expected a folder for checkpoints");
  config.model_path = file.resolve(config.model_path);
  config.checkpoint_dir = file.resolve(config.checkpoint_dir);
}

}  // namespace

TrainConfig read_train_config(const std::string& path) {
  const ConfigFile file = parse(path);
  const toml::table no_keys;
  TomlSection root(path, "", file.root);
  const auto section = [&](const std::string& name) {
    const toml::node* node = root.find(name);
    if (node != nullptr && !node->is_table()) root.fail(name, fmt::format("expected a section [{}]", name));
    return TomlSection(path, name, node == nullptr ? no_keys : *node->as_table());
  };
  TomlSection data = section("data"), vocabulary = section("vocabulary"), prompt = section("prompt"),
              model = section("model"), streaming = section("streaming"), optimiser = section("optimiser"),
              output = section("output"), base = section("base"), lora = section("lora");
  root.reject_unknown();

  TrainConfig config;
  read_data(file, data, config);
  read_prompt(prompt, config);
  if (root.has("base")) {
    refuse_beside_base(root, "model");
    refuse_beside_base(root, "vocabulary");
    read_base(file, base, config);
    if (root.has("lora")) {
      read_lora(lora, config);
      if (base.has("trains"))
        base.fail("trains", "expected no such key beside [lora], which is all that is trained");
    } else if (!config.base->start_adapter.empty()) {
      base.fail("start_adapter", "expected a section [lora] of the adapter's shape");
    }
  } else {
    if (root.has("lora")) root.fail("lora", "expected a section [base] with the model that is adapted");
    read_vocabulary(vocabulary, config);
    read_model(model, config);
  }
  read_streaming(streaming, config);
  read_optimiser(optimiser, config);
  read_output(file, output, config);
  return config;
}

}  // namespace tandem
