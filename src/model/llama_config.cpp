#include "model/llama_config.h"

#include <fmt/core.h>

#include <cmath>

#include "model/gguf_file.h"
#include "tandem/error.h"

namespace tandem {

namespace {

// Far above every published model, and small enough that products of any two fit 64 bits with room to spare.
constexpr int kMostLayers = 1024;
constexpr int kMostHeads = 4096;
constexpr int kMostWidth = 1 << 20;
constexpr int kMostVocab = 1 << 24;
constexpr int kMostContext = 1 << 28;

int checked_count(const GgufFile& file, const std::string& key, std::int64_t value, int most) {
  if (value < 1 || value > most)
    file.fail(fmt::format("key '{}': expected 1 to {}, got {}", key, most, value));
  return static_cast<int>(value);
}

int count(const GgufFile& file, const std::string& key, int most) {
  return checked_count(file, key, file.integer(key), most);
}

int count_or(const GgufFile& file, const std::string& key, int most, int otherwise) {
  const auto value = file.find_integer(key);
  return value ? checked_count(file, key, *value, most) : otherwise;
}

float positive(const GgufFile& file, const std::string& key, float value, float most) {
  if (!(value > 0.0F && value <= most)) {
    file.fail(fmt::format("key '{}': expected a number above 0 and at most {}, got {}", key, most, value));
  }
  return value;
}

void refuse_unsupported(const GgufFile& file) {
  const auto refuse = [&](const std::string& what) {
    throw Error(ErrorCode::kUnsupported, file.path() + ": " + what);
  };
  if (const auto experts = file.find_integer("llama.expert_count"); experts.value_or(0) != 0) {
    refuse(fmt::format("key 'llama.expert_count': expected 0 (no mixture of experts), got {}", *experts));
  }
  if (const auto scaling = file.find_text("llama.rope.scaling.type"); scaling.value_or("none") != "none") {
    refuse(fmt::format("key 'llama.rope.scaling.type': expected 'none', got '{}'", *scaling));
  }
  for (const char* key : {"llama.rope.scale_linear", "llama.rope.scaling.factor"}) {
    const auto factor = file.find_real(key);
    if (factor && *factor != 0.0F && *factor != 1.0F) {
      refuse(fmt::format("key '{}': expected 1 (unscaled RoPE), got {}", key, *factor));
    }
  }
}

void read_heads(const GgufFile& file, ModelConfig& config) {
  config.n_heads = count(file, "llama.attention.head_count", kMostHeads);
  config.n_kv_heads = count_or(file, "llama.attention.head_count_kv", kMostHeads, config.n_heads);
  if (config.n_heads % config.n_kv_heads != 0) {
    file.fail(fmt::format("key 'llama.attention.head_count_kv': expected a divisor of the {} heads, got {}",
                          config.n_heads, config.n_kv_heads));
  }
  if (const auto head_dim = file.find_integer("llama.attention.key_length")) {
    config.head_dim = checked_count(file, "llama.attention.key_length", *head_dim, kMostWidth);
  } else if (config.n_embd % config.n_heads != 0) {
    file.fail(fmt::format("key 'llama.attention.head_count': expected a divisor of the width {}, got {}",
                          config.n_embd, config.n_heads));
  } else {
    config.head_dim = config.n_embd / config.n_heads;
  }
  const int value_dim = count_or(file, "llama.attention.value_length", kMostWidth, config.head_dim);
  if (value_dim != config.head_dim) {
    file.fail(fmt::format("key 'llama.attention.value_length': expected {}, the length of the keys, got {}",
                          config.head_dim, value_dim));
  }
  if (config.n_embd_q() > kMostWidth)
    file.fail(fmt::format("{} heads of {} are too wide", config.n_heads, config.head_dim));
}

void read_rope(const GgufFile& file, ModelConfig& config) {
  config.n_rope_dims = count_or(file, "llama.rope.dimension_count", kMostWidth, config.head_dim);
  if (config.n_rope_dims > config.head_dim || config.n_rope_dims % 2 != 0) {
    file.fail(fmt::format("key 'llama.rope.dimension_count': expected an even number of at most {}, got {}",
                          config.head_dim, config.n_rope_dims));
  }
  config.rope_freq_base = positive(file, "llama.rope.freq_base",
                                   file.find_real("llama.rope.freq_base").value_or(10000.0F), 1e12F);
}

}  // namespace

ModelConfig read_llama_config(const GgufFile& file) {
  ModelConfig config;
  config.architecture = file.text("general.architecture");
  if (config.architecture != "llama") {
    throw Error(ErrorCode::kUnsupported,
                fmt::format("{}: key 'general.architecture': expected 'llama', got '{}'", file.path(),
                            config.architecture));
  }
  refuse_unsupported(file);
  config.n_layers = count(file, "llama.block_count", kMostLayers);
  config.n_embd = count(file, "llama.embedding_length", kMostWidth);
  config.n_ff = count(file, "llama.feed_forward_length", kMostWidth);
  config.n_context = count(file, "llama.context_length", kMostContext);
  read_heads(file, config);
  read_rope(file, config);
  constexpr const char* kEpsilonKey = "llama.attention.layer_norm_rms_epsilon";
  config.norm_epsilon = positive(file, kEpsilonKey, file.real(kEpsilonKey), 1.0F);
  config.n_vocab =
      checked_count(file, "tokenizer.ggml.tokens",
                    static_cast<std::int64_t>(file.texts("tokenizer.ggml.tokens").size()), kMostVocab);
  const auto stated_vocab = file.find_integer("llama.vocab_size");
  if (stated_vocab && *stated_vocab != config.n_vocab) {
    file.fail(fmt::format("key 'llama.vocab_size': expected {}, the number of tokens, got {}", config.n_vocab,
                          *stated_vocab));
  }
  return config;
}

}  // namespace tandem
