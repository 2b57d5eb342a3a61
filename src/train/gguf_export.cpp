#include "train/gguf_export.h"

#include <fmt/format.h>

#include <cmath>
#include <filesystem>
#include <set>

#include "files/atomic_file.h"
#include "ggml-cpp.h"
#include "gguf.h"
#include "tandem/error.h"
#include "text/llama_log.h"

namespace tandem {
namespace {

constexpr const char* kTokenizerKey = "tokenizer.ggml.";

void set_texts(gguf_context* file, const std::string& key, const std::vector<std::string>& values) {
  std::vector<const char*> pointers;
  pointers.reserve(values.size());
  for (const std::string& value : values) pointers.push_back(value.c_str());
  gguf_set_arr_str(file, key.c_str(), pointers.data(), pointers.size());
}

void set_text(gguf_context* file, const std::string& key, const std::string& value) {
  gguf_set_val_str(file, key.c_str(), value.c_str());
}

void set_count(gguf_context* file, const std::string& key, std::size_t value) {
  gguf_set_val_u32(file, key.c_str(), static_cast<std::uint32_t>(value));
}

void set_tokenizer(gguf_context* file, const TokenizerTables& tables) {
  const std::string prefix = kTokenizerKey;
  set_text(file, prefix + "model", tables.model);
  set_text(file, prefix + "pre", tables.pre.empty() ? "default" : tables.pre);
  set_texts(file, prefix + "tokens", tables.pieces);
  gguf_set_arr_data(file, (prefix + "scores").c_str(), GGUF_TYPE_FLOAT32, tables.scores.data(),
                    tables.scores.size());
  const std::vector<std::int32_t> types(tables.types.begin(), tables.types.end());
  gguf_set_arr_data(file, (prefix + "token_type").c_str(), GGUF_TYPE_INT32, types.data(), types.size());
  for (const auto& [key, id] : tables.special_ids) set_count(file, key, static_cast<std::size_t>(id));
  gguf_set_val_bool(file, (prefix + "add_space_prefix").c_str(), tables.add_space_prefix);
  // The prompt template names its own special tokens; a tool that added more would double them.
  gguf_set_val_bool(file, (prefix + "add_bos_token").c_str(), false);
  gguf_set_val_bool(file, (prefix + "add_eos_token").c_str(), false);
}

void set_hyperparameters(gguf_context* file, const TrainConfig& config, std::size_t n_vocab) {
  const auto count = [&](const char* key, int value) { set_count(file, std::string("llama.") + key, value); };
  count("block_count", config.n_layers);
  count("context_length", config.context_length);
  count("embedding_length", config.width);
  count("feed_forward_length", config.ff_width);
  count("attention.head_count", config.n_heads);
  count("attention.head_count_kv", config.n_kv_heads);
  count("rope.dimension_count", config.width / config.n_heads);
  set_count(file, "llama.vocab_size", n_vocab);
  gguf_set_val_f32(file, "llama.attention.layer_norm_rms_epsilon", kRmsNormEpsilon);
  gguf_set_val_f32(file, "llama.rope.freq_base", static_cast<float>(config.rope_base));
}

void set_streaming(gguf_context* file, const TrainConfig& config) {
  set_count(file, "tandem.version", 1);
  set_text(file, "tandem.paradigm", "group");
  gguf_set_val_f32(file, "tandem.phi", static_cast<float>(config.phi));
  set_text(file, "tandem.end_marker", "any");  // training draws both kinds
  std::vector<std::string> ks;
  for (const WaitK& k : config.ks) ks.push_back(k.is_unlimited() ? "inf" : std::to_string(k.value()));
  set_texts(file, "tandem.policy.wait_k", ks);

  if (config.no_repeat_ngram > 0)
    set_count(file, "tandem.decoding.no_repeat_ngram", static_cast<std::size_t>(config.no_repeat_ngram));

  const PromptTemplate& prompt = config.prompt;
  set_text(file, "tandem.template.source_prefix", prompt.source_prefix);
  set_text(file, "tandem.template.source_suffix", prompt.source_suffix);
  set_text(file, "tandem.template.end", prompt.end);
  std::vector<std::string> languages, prefixes;
  for (const auto& [language, prefix] : prompt.target_prefix) {
    languages.push_back(language);
    prefixes.push_back(prefix);
  }
  set_texts(file, "tandem.languages.source", {config.source_language});
  set_texts(file, "tandem.languages.target", languages);
  set_texts(file, "tandem.template.target_prefix", prefixes);
  set_text(file, "tandem.training.summary", config.summary);
  set_texts(file, "tandem.training.data_licences", config.licences);
}

void set_kept_ids(gguf_context* file, std::span<const TokenId> kept_ids) {
  if (kept_ids.empty()) return;
  std::vector<std::int32_t> ids;
  for (const TokenId id : kept_ids) ids.push_back(to_int(id));
  gguf_set_arr_data(file, "tandem.vocab.kept", GGUF_TYPE_INT32, ids.data(), ids.size());
}

std::size_t n_values(const NamedTensor& tensor) {
  std::size_t n = 1;
  for (const std::int64_t size : tensor.shape) n *= static_cast<std::size_t>(size);
  return n;
}

ggml_type type_in_file(const NamedTensor& tensor, StoredType type) {
  return type == StoredType::kFloat16 && tensor.shape.size() > 1 ? GGML_TYPE_F16 : GGML_TYPE_F32;
}

/// A run that has diverged must not overwrite a good file.
void check_tensors(std::span<const NamedTensor> tensors, StoredType type, std::size_t n_vocab) {
  std::set<std::string> names;
  for (const NamedTensor& tensor : tensors) {
    TANDEM_CHECK(!tensor.shape.empty() && tensor.shape.size() <= GGML_MAX_DIMS);
    TANDEM_CHECK(tensor.name.size() < GGML_MAX_NAME && names.insert(tensor.name).second);
    if (tensor.name == "token_embd.weight" && n_vocab > 0 &&
        static_cast<std::size_t>(tensor.shape.back()) != n_vocab) {
      throw Error(ErrorCode::kInvalidArgument,
                  fmt::format("token_embd.weight: expected {} rows, one per piece, got {}", n_vocab,
                              tensor.shape.back()));
    }
    const float most =
        type_in_file(tensor, type) == GGML_TYPE_F16 ? 65504.0F : std::numeric_limits<float>::max();
    const std::size_t n = n_values(tensor);
    for (std::size_t i = 0; i < n; ++i) {
      if (std::abs(tensor.data[i]) <= most) continue;  // false for NaN
      throw Error(ErrorCode::kInvalidArgument,
                  fmt::format("{}: expected weights of at most {} in size, got {} at {}", tensor.name, most,
                              tensor.data[i], i));
    }
  }
}

void write_metadata(AtomicFile& out, const gguf_context* file) {
  std::vector<char> metadata(gguf_get_meta_size(file));
  gguf_get_meta_data(file, metadata.data());
  out.write(std::as_bytes(std::span(metadata)));
}

void write_tensor(AtomicFile& out, const NamedTensor& tensor, ggml_type type, std::size_t alignment) {
  const std::size_t n = n_values(tensor);
  std::size_t n_bytes = n * sizeof(float);
  if (type == GGML_TYPE_F16) {
    std::vector<ggml_fp16_t> halves(n);
    ggml_fp32_to_fp16_row(tensor.data, halves.data(), static_cast<std::int64_t>(n));
    n_bytes = n * sizeof(ggml_fp16_t);
    out.write(std::as_bytes(std::span(halves)));
  } else {
    out.write(std::as_bytes(std::span(tensor.data, n)));
  }
  out.write(std::vector<std::byte>(GGML_PAD(n_bytes, alignment) - n_bytes));
}

void write_file(const std::string& path, gguf_context* file, std::span<const NamedTensor> tensors,
                StoredType type) {
  const ggml_context_ptr shapes(ggml_init({ggml_tensor_overhead() * (tensors.size() + 1), nullptr, true}));
  for (const NamedTensor& tensor : tensors) {
    ggml_tensor* shape = ggml_new_tensor(shapes.get(), type_in_file(tensor, type),
                                         static_cast<int>(tensor.shape.size()), tensor.shape.data());
    ggml_set_name(shape, tensor.name.c_str());
    gguf_add_tensor(file, shape);
  }
  AtomicFile out(path);
  write_metadata(out, file);
  const std::size_t alignment = gguf_get_alignment(file);
  for (const NamedTensor& tensor : tensors) write_tensor(out, tensor, type_in_file(tensor, type), alignment);
  out.commit();
}

/// Keys of a file that was read, each checked for its type: ggml aborts on a wrong one.
class KeyReader {
 public:
  KeyReader(const gguf_context* file, const std::string& path) : file_(file), path_(path) {}

  std::int64_t need(const std::string& key, gguf_type type) const {
    const std::int64_t id = gguf_find_key(file_, key.c_str());
    const gguf_type found = id < 0 ? GGUF_TYPE_COUNT : gguf_get_kv_type(file_, id);
    if (found != type) fail(key, gguf_type_name(type), id < 0 ? "no such key" : gguf_type_name(found));
    return id;
  }
  std::int64_t need_array(const std::string& key, gguf_type type) const {
    const std::int64_t id = need(key, GGUF_TYPE_ARRAY);
    const gguf_type found = gguf_get_arr_type(file_, id);
    if (found != type) fail(key, fmt::format("array of {}", gguf_type_name(type)), gguf_type_name(found));
    return id;
  }
  std::string text(const std::string& key) const {
    return gguf_get_val_str(file_, need(key, GGUF_TYPE_STRING));
  }
  bool truth(const std::string& key) const { return gguf_get_val_bool(file_, need(key, GGUF_TYPE_BOOL)); }
  std::vector<std::string> texts(const std::string& key) const {
    const std::int64_t id = need_array(key, GGUF_TYPE_STRING);
    std::vector<std::string> values(gguf_get_arr_n(file_, id));
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = gguf_get_arr_str(file_, id, i);
    return values;
  }
  template <class Number>
  std::vector<Number> numbers(const std::string& key, gguf_type type) const {
    const std::int64_t id = need_array(key, type);
    const auto* first = static_cast<const Number*>(gguf_get_arr_data(file_, id));
    return {first, first + gguf_get_arr_n(file_, id)};
  }
  std::vector<std::pair<std::string, long long>> special_ids() const {
    std::vector<std::pair<std::string, long long>> ids;
    for (std::int64_t i = 0; i < gguf_get_n_kv(file_); ++i) {
      const std::string key = gguf_get_key(file_, i);
      if (!key.starts_with(kTokenizerKey) || !key.ends_with("_token_id")) continue;
      ids.emplace_back(key, gguf_get_val_u32(file_, need(key, GGUF_TYPE_UINT32)));
    }
    return ids;
  }

 private:
  [[noreturn]] void fail(const std::string& key, const std::string& expected, const std::string& got) const {
    throw Error(ErrorCode::kBadFile, fmt::format("{}: {}: expected {}, got {}", path_, key, expected, got));
  }
  const gguf_context* file_;
  const std::string& path_;
};

}  // namespace

void export_model(const std::string& path, const TrainConfig& config, const TokenizerTables& tables,
                  std::span<const NamedTensor> tensors, StoredType type) {
  check_tensors(tensors, type, tables.pieces.size());
  const gguf_context_ptr file(gguf_init_empty());
  set_text(file.get(), "general.architecture", "llama");
  set_text(file.get(), "general.name", std::filesystem::path(path).stem().string());
  set_count(file.get(), "general.file_type",
            type == StoredType::kFloat16 ? 1 : 0);  // llama.cpp's number of the type
  set_hyperparameters(file.get(), config, tables.pieces.size());
  set_streaming(file.get(), config);
  set_tokenizer(file.get(), tables);

  write_file(path, file.get(), tensors, type);
}

void export_adapter(const std::string& path, const TrainConfig& config, const AdapterFile& adapter,
                    std::span<const NamedTensor> tensors, StoredType type) {
  check_tensors(tensors, type, 0);
  const gguf_context_ptr file(gguf_init_empty());
  set_text(file.get(), "general.architecture", adapter.architecture);
  set_text(file.get(), "general.type", "adapter");
  set_text(file.get(), "general.name", std::filesystem::path(path).stem().string());
  if (!adapter.base_name.empty()) set_text(file.get(), "general.base_model.0.name", adapter.base_name);
  set_text(file.get(), "adapter.type", "lora");
  gguf_set_val_f32(file.get(), "adapter.lora.alpha", static_cast<float>(adapter.alpha));
  set_streaming(file.get(), config);
  set_kept_ids(file.get(), adapter.kept_ids);
  write_file(path, file.get(), tensors, type);
}

void export_tuned(const std::string& path, const TrainConfig& config, const std::string& base_path,
                  std::span<const TokenId> kept_ids, std::span<const NamedTensor> tensors, StoredType type) {
  const gguf_context_ptr base(gguf_init_from_file(base_path.c_str(), {true, nullptr}));
  if (!base) throw Error(ErrorCode::kBadFile, fmt::format("{}: expected a GGUF file", base_path));
  const gguf_context_ptr file(gguf_init_empty());
  gguf_set_kv(file.get(), base.get());
  const std::int64_t tokens = gguf_find_key(base.get(), "tokenizer.ggml.tokens");
  check_tensors(tensors, type, tokens < 0 ? 0 : gguf_get_arr_n(base.get(), tokens));
  set_text(file.get(), "general.name", std::filesystem::path(path).stem().string());
  set_count(file.get(), "general.file_type", type == StoredType::kFloat16 ? 1 : 0);
  set_streaming(file.get(), config);
  set_kept_ids(file.get(), kept_ids);
  write_file(path, file.get(), tensors, type);
}

void export_vocabulary(const std::string& path, const TokenizerTables& tables) {
  const gguf_context_ptr file(gguf_init_empty());
  set_text(file.get(), "general.architecture", "llama");
  set_text(file.get(), "general.name", std::filesystem::path(path).stem().string());
  set_count(file.get(), "llama.vocab_size", tables.pieces.size());
  set_tokenizer(file.get(), tables);
  AtomicFile out(path);
  write_metadata(out, file.get());
  out.commit();
}

TokenizerTables read_exported_vocabulary(const std::string& path) {
  if (!std::filesystem::is_regular_file(path)) {
    throw Error(ErrorCode::kNotFound,
                fmt::format("{}: expected a GGUF file with a vocabulary, got no such file", path));
  }
  route_llama_log();
  const gguf_context_ptr file(gguf_init_from_file(path.c_str(), {true, nullptr}));
  if (!file)
    throw Error(ErrorCode::kBadFile, fmt::format("{}: expected a GGUF file, got something else", path));
  const KeyReader keys(file.get(), path);
  const std::string prefix = kTokenizerKey;
  TokenizerTables tables;
  tables.model = keys.text(prefix + "model");
  tables.pre = keys.text(prefix + "pre");
  tables.pieces = keys.texts(prefix + "tokens");
  tables.scores = keys.numbers<float>(prefix + "scores", GGUF_TYPE_FLOAT32);
  const auto types = keys.numbers<std::int32_t>(prefix + "token_type", GGUF_TYPE_INT32);
  tables.types.assign(types.begin(), types.end());
  tables.special_ids = keys.special_ids();
  tables.add_space_prefix = keys.truth(prefix + "add_space_prefix");
  check_tokenizer_tables(tables, path);
  return tables;
}

}  // namespace tandem
