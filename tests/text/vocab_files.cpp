#include "text/vocab_files.h"

#include <gguf.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <map>
#include <string_view>

#include "tandem/error.h"

namespace tandem::testing {
namespace {

struct FreeGguf {
  void operator()(gguf_context* context) const { gguf_free(context); }
};

std::vector<std::string> strings_of(const gguf_context* gguf, const char* key) {
  std::vector<std::string> out;
  const std::int64_t at = gguf_find_key(gguf, key);
  if (at < 0) return out;
  for (std::size_t i = 0; i < gguf_get_arr_n(gguf, at); ++i) out.emplace_back(gguf_get_arr_str(gguf, at, i));
  return out;
}

template <typename T>
std::vector<T> numbers_of(const gguf_context* gguf, const char* key) {
  const std::int64_t at = gguf_find_key(gguf, key);
  if (at < 0) return {};
  const T* data = static_cast<const T*>(gguf_get_arr_data(gguf, at));
  return {data, data + gguf_get_arr_n(gguf, at)};
}

std::string string_of(const gguf_context* gguf, const char* key) {
  const std::int64_t at = gguf_find_key(gguf, key);
  return at < 0 ? "" : gguf_get_val_str(gguf, at);
}

bool is_supported(const std::filesystem::path& path) {
  const std::string model = read_tables(path).model;
  return model == "llama" || model == "gpt2" || model == "gemma4";
}

}  // namespace

std::filesystem::path fixture_path() {
  return std::filesystem::path(TANDEM_TEST_DIR) / "text" / "fixture.gguf";
}

std::filesystem::path byte_level_fixture_path() {
  return std::filesystem::path(TANDEM_TEST_DIR) / "text" / "fixture-bytes.gguf";
}

TokenizerTables read_tables(const std::filesystem::path& path) {
  const std::unique_ptr<gguf_context, FreeGguf> gguf(gguf_init_from_file(path.c_str(), {true, nullptr}));
  if (gguf == nullptr) throw Error(ErrorCode::kBadFile, path.string() + ": not a GGUF file");
  TokenizerTables tables;
  tables.model = string_of(gguf.get(), "tokenizer.ggml.model");
  tables.pre = string_of(gguf.get(), "tokenizer.ggml.pre");
  tables.pieces = strings_of(gguf.get(), "tokenizer.ggml.tokens");
  tables.scores = numbers_of<float>(gguf.get(), "tokenizer.ggml.scores");
  tables.types = numbers_of<int>(gguf.get(), "tokenizer.ggml.token_type");
  tables.merges = strings_of(gguf.get(), "tokenizer.ggml.merges");
  for (std::int64_t i = 0; i < gguf_get_n_kv(gguf.get()); ++i) {
    const std::string_view key = gguf_get_key(gguf.get(), i);
    if (!key.starts_with("tokenizer.ggml.") || !key.ends_with("_token_id")) continue;
    tables.special_ids.emplace_back(key, gguf_get_val_u32(gguf.get(), i));
  }
  const std::int64_t prefix = gguf_find_key(gguf.get(), "tokenizer.ggml.add_space_prefix");
  tables.add_space_prefix = prefix < 0 ? tables.model == "llama" : gguf_get_val_bool(gguf.get(), prefix);
  return tables;
}

void write_vocabulary(const std::filesystem::path& from, const TokenizerTables& tables,
                      const std::filesystem::path& to) {
  const std::unique_ptr<gguf_context, FreeGguf> gguf(gguf_init_from_file(from.c_str(), {true, nullptr}));
  const auto set_strings = [&](const char* key, const std::vector<std::string>& strings) {
    std::vector<const char*> pointers;
    for (const std::string& text : strings) pointers.push_back(text.c_str());
    if (!strings.empty()) gguf_set_arr_str(gguf.get(), key, pointers.data(), pointers.size());
  };
  set_strings("tokenizer.ggml.tokens", tables.pieces);
  set_strings("tokenizer.ggml.merges", tables.merges);
  if (!tables.scores.empty()) {
    gguf_set_arr_data(gguf.get(), "tokenizer.ggml.scores", GGUF_TYPE_FLOAT32, tables.scores.data(),
                      tables.scores.size());
  }
  if (!tables.types.empty()) {
    gguf_set_arr_data(gguf.get(), "tokenizer.ggml.token_type", GGUF_TYPE_INT32, tables.types.data(),
                      tables.types.size());
  }
  for (const auto& [key, id] : tables.special_ids) {
    gguf_set_val_u32(gguf.get(), key.c_str(), static_cast<std::uint32_t>(id));
  }
  if (!gguf_write_to_file(gguf.get(), to.c_str(), true)) {
    throw Error(ErrorCode::kIo, to.string() + ": cannot write it");
  }
}

std::shared_ptr<const Vocabulary> load_with_special(const std::filesystem::path& from,
                                                    const std::vector<std::string>& names) {
  constexpr int kControlType = 3;
  TokenizerTables tables = read_tables(from);
  for (const std::string& name : names) {
    tables.pieces.push_back(name);
    tables.types.push_back(kControlType);
    if (!tables.scores.empty()) tables.scores.push_back(0);
  }
  const std::filesystem::path path =
      std::filesystem::temp_directory_path() / (std::to_string(::getpid()) + "-special.gguf");
  write_vocabulary(from, tables, path);
  const auto vocabulary = Vocabulary::load(path.string(), tables);
  std::filesystem::remove(path);
  return vocabulary;
}

std::shared_ptr<const Vocabulary> load_vocabulary(const std::filesystem::path& path) {
  static std::map<std::filesystem::path, std::shared_ptr<const Vocabulary>> loaded;
  std::shared_ptr<const Vocabulary>& vocabulary = loaded[path];
  if (vocabulary == nullptr) vocabulary = Vocabulary::load(path.string(), read_tables(path));
  return vocabulary;
}

std::vector<std::filesystem::path> vocabulary_paths() {
  const char* named = std::getenv("TANDEM_VOCAB_DIR");
  const bool is_named = named != nullptr && *named != '\0';
  const std::filesystem::path directory = is_named ? named : TANDEM_DEFAULT_VOCAB_DIR;
  std::vector<std::filesystem::path> found;
  if (is_named || std::filesystem::is_directory(directory)) {
    for (const auto& entry : std::filesystem::directory_iterator(directory)) {
      const std::filesystem::path path = entry.path();
      // Those of the script are all supported; reading them again for every test would take long.
      if (path.extension() == ".gguf" && (!is_named || is_supported(path))) found.push_back(path);
    }
    std::sort(found.begin(), found.end());
  }
  found.insert(found.begin(), {fixture_path(), byte_level_fixture_path()});
  return found;
}

std::vector<std::string> sentences() {
  std::ifstream in(std::filesystem::path(TANDEM_TEST_DIR) / "text" / "sentences.txt");
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  if (lines.empty()) throw Error(ErrorCode::kNotFound, "tests/text/sentences.txt: expected lines, got none");
  return lines;
}

}  // namespace tandem::testing
