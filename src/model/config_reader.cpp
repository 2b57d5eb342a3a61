#include "model/config_reader.h"

#include <fmt/core.h>

#include <cmath>

#include "tandem/error.h"

namespace tandem {

namespace {

// Far above every published model, and small enough that products of any two fit 64 bits with room to spare.
constexpr int kMostLayers = 1024;
constexpr int kMostHeads = 4096;
constexpr int kMostWidth = 1 << 20;
constexpr int kMostVocab = 1 << 24;
constexpr int kMostContext = 1 << 28;
constexpr float kMostRopeBase = 1e12F;
constexpr float kMostFactor = 1e6F;

/// Keys that other models use for steps that no graph here has. Their absence, or this value, is no step.
struct NeutralKey {
  const char* name;
  double value;
};
constexpr NeutralKey kNeutralKeys[] = {
    {"expert_count", 0},
    {"expert_used_count", 0},
    {"attention.clamp_kqv", 0},
    {"attention.max_alibi_bias", 0},
    {"attention.scale", 0},
    {"attention.output_scale", 0},
    {"logit_scale", 0},
    {"residual_scale", 0},
    {"embedding_scale", 0},
    {"rope.scaling.alpha", 0},
    {"router_logit_softcapping", 0},
    {"altup.num_inputs", 0},
    {"nextn_predict_layers", 0},
};

}  // namespace

ConfigReader::ConfigReader(const GgufFile& file)
    : file_(file), architecture_(file.text("general.architecture")) {}

void ConfigReader::refuse(const std::string& name, const std::string& expected,
                          const std::string& got) const {
  throw Error(ErrorCode::kUnsupported,
              fmt::format("{}: key '{}': expected {}, got {}", file_.path(), key(name), expected, got));
}

int ConfigReader::count(const std::string& name, int most) const {
  const std::int64_t value = file_.integer(key(name));
  if (value < 1 || value > most)
    file_.fail(fmt::format("key '{}': expected 1 to {}, got {}", key(name), most, value));
  return static_cast<int>(value);
}

int ConfigReader::count_or(const std::string& name, int most, int otherwise) const {
  return file_.find_integer(key(name)) ? count(name, most) : otherwise;
}

float ConfigReader::positive(const std::string& name, float most) const {
  const float value = file_.real(key(name));
  if (!(value > 0.0F && value <= most)) {
    file_.fail(
        fmt::format("key '{}': expected a number above 0 and at most {}, got {}", key(name), most, value));
  }
  return value;
}

float ConfigReader::positive_or(const std::string& name, float most, float otherwise) const {
  return file_.find_real(key(name)) ? positive(name, most) : otherwise;
}

float ConfigReader::cap_or(const std::string& name, float otherwise) const {
  const auto value = file_.find_real(key(name));
  return value && *value == 0.0F ? 0.0F : positive_or(name, kMostFactor, otherwise);
}

void ConfigReader::refuse_unsupported(const FamilyTraits& traits) const {
  for (const NeutralKey& neutral : kNeutralKeys) {
    const auto type = file_.find_number(key(neutral.name));
    if (type && *type != neutral.value) {
      refuse(neutral.name, fmt::format("{} or no such key", neutral.value), fmt::format("{}", *type));
    }
  }
  if (!file_.find_flag(key("attention.causal")).value_or(true)) refuse("attention.causal", "true", "false");
  const std::string scaling = file_.find_text(key("rope.scaling.type")).value_or("none");
  const bool is_known =
      scaling == "none" || scaling == "linear" || (scaling == "longrope" && traits.has_long_rope);
  if (!is_known) {
    refuse("rope.scaling.type",
           traits.has_long_rope ? "'none', 'linear' or 'longrope'" : "'none' or 'linear'",
           fmt::format("'{}'", scaling));
  }
}

void ConfigReader::read_heads(ModelConfig& config) const {
  config.n_heads = count("attention.head_count", kMostHeads);
  config.n_kv_heads = count_or("attention.head_count_kv", kMostHeads, config.n_heads);
  if (config.n_heads % config.n_kv_heads != 0) {
    file_.fail(fmt::format("key '{}': expected a divisor of the {} heads, got {}",
                           key("attention.head_count_kv"), config.n_heads, config.n_kv_heads));
  }
  if (!file_.find_integer(key("attention.key_length")) && config.n_embd % config.n_heads != 0) {
    file_.fail(fmt::format("key '{}': expected a divisor of the width {}, got {}",
                           key("attention.head_count"), config.n_embd, config.n_heads));
  }
  config.head_dim = count_or("attention.key_length", kMostWidth, config.n_embd / config.n_heads);
  // Value heads as wide as key heads, in layers with a window too. libllama takes width / heads for a length
  // that is not stated, so one stated length alone would mean two different ones.
  const int value_dim = count_or("attention.value_length", kMostWidth, config.n_embd / config.n_heads);
  const int window_dim = count_or("attention.key_length_swa", kMostWidth, config.head_dim);
  const int window_value_dim = count_or("attention.value_length_swa", kMostWidth, config.head_dim);
  for (const auto& [name, dim] : {std::pair{"attention.value_length", value_dim},
                                  {"attention.key_length_swa", window_dim},
                                  {"attention.value_length_swa", window_value_dim}}) {
    if (dim == config.head_dim) continue;
    file_.fail(fmt::format("key '{}': expected {}, the length of the keys, got {}", key(name),
                           config.head_dim, dim));
  }
  if (config.n_embd_q() > kMostWidth)
    file_.fail(fmt::format("{} heads of {} are too wide", config.n_heads, config.head_dim));
}

void ConfigReader::read_rope(ModelConfig& config, const FamilyTraits& traits) const {
  constexpr const char* kDimensions = "rope.dimension_count";
  config.rope_pairs = traits.rope_pairs;
  config.n_rope_dims = count_or(kDimensions, kMostWidth, config.head_dim);
  if (config.n_rope_dims > config.head_dim || config.n_rope_dims % 2 != 0) {
    file_.fail(fmt::format("key '{}': expected an even number of at most {}, got {}", key(kDimensions),
                           config.head_dim, config.n_rope_dims));
  }
  if (traits.rotates_whole_heads && config.n_rope_dims != config.head_dim) {
    refuse(kDimensions, fmt::format("{}, the width of a head", config.head_dim),
           fmt::format("{}", config.n_rope_dims));
  }
  if (count_or("rope.dimension_count_swa", kMostWidth, config.n_rope_dims) != config.n_rope_dims)
    refuse("rope.dimension_count_swa", fmt::format("{} or no such key", config.n_rope_dims), "another");
  config.rope.base = positive_or("rope.freq_base", kMostRopeBase, 10000.0F);
  config.rope_magnitude = positive_or("rope.scaling.attn_factor", kMostFactor, 1.0F);
  const float old_factor = cap_or("rope.scale_linear", 0.0F);  // an older name of the same
  const float factor = cap_or("rope.scaling.factor", old_factor);
  if (factor == 0.0F || factor == 1.0F) return;
  if (file_.find_text(key("rope.scaling.type")).value_or("linear") == "none")
    refuse("rope.scaling.factor", "1 beside rope.scaling.type 'none'", fmt::format("{}", factor));
  config.rope.scale = 1.0F / factor;
}

void ConfigReader::read_vocabulary(ModelConfig& config) const {
  const auto n_tokens = static_cast<std::int64_t>(file_.texts("tokenizer.ggml.tokens").size());
  if (n_tokens < 1 || n_tokens > kMostVocab)
    file_.fail(fmt::format("key 'tokenizer.ggml.tokens': expected 1 to {}, got {}", kMostVocab, n_tokens));
  config.n_vocab = static_cast<int>(n_tokens);
  const auto stated = file_.find_integer(key("vocab_size"));
  if (stated && *stated != config.n_vocab) {
    file_.fail(fmt::format("key '{}': expected {}, the number of tokens, got {}", key("vocab_size"),
                           config.n_vocab, *stated));
  }
}

ModelConfig ConfigReader::shared(const FamilyTraits& traits) const {
  refuse_unsupported(traits);
  ModelConfig config;
  config.architecture = architecture_;
  config.n_layers = count("block_count", kMostLayers);
  config.n_embd = count("embedding_length", kMostWidth);
  config.n_ff = count("feed_forward_length", kMostWidth);
  config.n_context = count("context_length", kMostContext);
  read_heads(config);
  read_rope(config, traits);
  config.norm_epsilon = positive("attention.layer_norm_rms_epsilon", 1.0F);
  config.attention_scale = 1.0F / std::sqrt(static_cast<float>(config.head_dim));
  read_vocabulary(config);
  return config;
}

bool ConfigReader::has_window() const {
  return file_.find_integer(key("attention.sliding_window")).value_or(0) != 0;
}

void ConfigReader::refuse_window() const {
  if (!has_window()) return;
  refuse("attention.sliding_window", "0 or no such key",
         fmt::format("{}", file_.integer(key("attention.sliding_window"))));
}

void ConfigReader::read_window(ModelConfig& config, int window, int pattern, RopeSpeed speed) const {
  constexpr const char* kPattern = "attention.sliding_window_pattern";
  config.window = count_or("attention.sliding_window", kMostContext, window);
  config.window_rope = {positive_or("rope.freq_base_swa", kMostRopeBase, speed.base), speed.scale};
  if (file_.is_array(key(kPattern))) {
    config.is_windowed = *file_.find_flags(key(kPattern));
    if (config.is_windowed.size() != static_cast<std::size_t>(config.n_layers)) {
      file_.fail(fmt::format("key '{}': expected {} entries, one a layer, got {}", key(kPattern),
                             config.n_layers, config.is_windowed.size()));
    }
    return;
  }
  pattern = count_or(kPattern, kMostLayers, pattern);
  for (int i = 0; i < config.n_layers; ++i) config.is_windowed.push_back(i % pattern < pattern - 1);
}

}  // namespace tandem
