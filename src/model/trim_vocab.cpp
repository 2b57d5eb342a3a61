#include "model/trim_vocab.h"

#include <fmt/core.h>
#include <ggml-cpp.h>
#include <ggml.h>
#include <gguf.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "model/family.h"
#include "model/gguf_file.h"
#include "model/gguf_output.h"
#include "model/stream_metadata.h"
#include "tandem/error.h"
#include "text/vocabulary.h"
#include "text/vocabulary_cut.h"

namespace tandem {

namespace {

constexpr const char* kOriginalIds = "tandem.vocab.original_ids";
constexpr const char* kKeptIds = "tandem.vocab.kept";

// Shares of the whole work, roughly, for the progress bar.
constexpr double kCounted = 0.4, kWritten = 0.6;

/// The part [from, to] of a progress from 0 to 1.
std::function<void(double)> part_of(const std::function<void(double)>& progress, double from, double to) {
  return [&progress, from, to](double done) {
    if (progress) progress(from + (to - from) * done);
  };
}

/// Rows of the vocabulary: what is gathered.
bool has_vocabulary_rows(const StoredTensor& tensor) {
  return tensor.name == "token_embd.weight" || tensor.name == "output.weight";
}

/// Throws for files whose vocabulary stands in more places than are rewritten here.
void check_input(const GgufFile& file, std::size_t n_vocab) {
  const std::string type = file.find_text("general.type").value_or("model");
  if (type != "model") {
    throw Error(ErrorCode::kUnsupported,
                fmt::format("{}: key 'general.type': expected 'model', got '{}'", file.path(), type));
  }
  (void)read_config(file);  // throws for other families
  for (const StoredTensor& tensor : file.tensors()) {
    if (!has_vocabulary_rows(tensor)) continue;
    if (tensor.n_dims == 2 && tensor.shape[1] == static_cast<std::int64_t>(n_vocab)) continue;
    file.fail(fmt::format("tensor '{}': expected {} rows, one per piece, got {}", tensor.name, n_vocab,
                          tensor.shape[1]));
  }
  if (file.find_tensor("token_embd.weight") == nullptr) {
    file.fail("tensor 'token_embd.weight': expected it, got none: is it a vocabulary without a model?");
  }
  constexpr const char* kKnown[] = {"tokenizer.ggml.tokens", "tokenizer.ggml.scores",
                                    "tokenizer.ggml.token_type", "tokenizer.ggml.merges",
                                    "tokenizer.ggml.suppress_tokens"};
  for (const std::string& key : file.keys()) {
    if (!key.starts_with("tokenizer.") || !file.is_array(key)) continue;
    if (std::find(std::begin(kKnown), std::end(kKnown), key) != std::end(kKnown)) continue;
    throw Error(ErrorCode::kUnsupported,
                fmt::format("{}: key '{}': expected no array of the tokenizer that trimming does not know",
                            file.path(), key));
  }
}

/// The ids that the templates of a streaming model are made of.
std::vector<TokenId> template_ids(const GgufFile& file, const Vocabulary& vocabulary) {
  const auto metadata = read_stream_metadata(file, vocabulary.size());
  if (!metadata) return {};
  std::vector<std::string> texts = {metadata->prompt.source_prefix, metadata->prompt.source_suffix,
                                    metadata->prompt.end};
  for (const auto& [language, prefix] : metadata->prompt.target_prefix) texts.push_back(prefix);
  std::vector<TokenId> ids;
  for (const std::string& text : texts) {
    const std::vector<TokenId> tokens = vocabulary.tokenize_template(text);
    ids.insert(ids.end(), tokens.begin(), tokens.end());
  }
  return ids;
}

void set_texts(gguf_context* header, const char* key, const std::vector<std::string>& texts) {
  std::vector<const char*> pointers;
  pointers.reserve(texts.size());
  for (const std::string& text : texts) pointers.push_back(text.c_str());
  gguf_set_arr_str(header, key, pointers.data(), pointers.size());
}

void set_ids(gguf_context* header, const char* key, const std::vector<std::int32_t>& ids) {
  gguf_set_arr_data(header, key, GGUF_TYPE_INT32, ids.data(), ids.size());
}

/// Ids of the old numbering in the new one, those without a row left out.
std::vector<std::int32_t> renumber(std::span<const std::int32_t> ids, std::span<const TokenId> kept) {
  std::vector<std::int32_t> renumbered;
  for (const std::int32_t id : ids) {
    const auto found = std::lower_bound(kept.begin(), kept.end(), TokenId{id});
    if (found != kept.end() && *found == TokenId{id}) {
      renumbered.push_back(static_cast<std::int32_t>(found - kept.begin()));
    }
  }
  return renumbered;
}

/// What each row was in the file that was trimmed first, should this be the second time.
std::vector<std::int32_t> original_ids(const GgufFile& file, std::span<const TokenId> kept,
                                       std::size_t n_vocab) {
  const auto earlier = file.find_integers(kOriginalIds);
  if (earlier && earlier->size() != n_vocab) {
    file.fail(fmt::format("key '{}': expected {} ids, got {}", kOriginalIds, n_vocab, earlier->size()));
  }
  std::vector<std::int32_t> ids;
  ids.reserve(kept.size());
  for (const TokenId id : kept) {
    ids.push_back(earlier ? (*earlier)[static_cast<std::size_t>(to_int(id))] : to_int(id));
  }
  return ids;
}

void set_tokenizer(gguf_context* header, const TokenizerTables& tables) {
  set_texts(header, "tokenizer.ggml.tokens", tables.pieces);
  if (!tables.merges.empty()) set_texts(header, "tokenizer.ggml.merges", tables.merges);
  if (!tables.types.empty()) set_ids(header, "tokenizer.ggml.token_type", tables.types);
  if (!tables.scores.empty()) {
    gguf_set_arr_data(header, "tokenizer.ggml.scores", GGUF_TYPE_FLOAT32, tables.scores.data(),
                      tables.scores.size());
  }
  for (const auto& [key, id] : tables.special_ids) {
    gguf_set_val_u32(header, key.c_str(), static_cast<std::uint32_t>(id));
  }
  // The original tokenizer as one text: it would speak of rows that are gone.
  gguf_remove_key(header, "tokenizer.huggingface.json");
}

/// Everything but the tensors' bytes, which are null. `context` holds the tensors' descriptions.
gguf_context_ptr describe_output(const GgufFile& file, const TokenizerTables& tables,
                                 std::span<const TokenId> kept, std::size_t n_vocab, ggml_context* context) {
  gguf_context_ptr header(gguf_init_empty());
  gguf_set_kv(header.get(), file.context());
  // ggml lays out new files at its own alignment, whatever the key says.
  gguf_remove_key(header.get(), "general.alignment");
  set_tokenizer(header.get(), tables);
  for (const char* key : {"tokenizer.ggml.suppress_tokens", kKeptIds}) {
    const auto ids = file.find_integers(key);
    if (ids) set_ids(header.get(), key, renumber(*ids, kept));
  }
  set_ids(header.get(), kOriginalIds, original_ids(file, kept, n_vocab));
  const std::string size_key = file.text("general.architecture") + ".vocab_size";
  if (file.find_integer(size_key)) {
    gguf_set_val_u32(header.get(), size_key.c_str(), static_cast<std::uint32_t>(kept.size()));
  }
  for (const StoredTensor& stored : file.tensors()) {
    auto shape = stored.shape;
    if (has_vocabulary_rows(stored)) shape[1] = static_cast<std::int64_t>(kept.size());
    ggml_tensor* tensor =
        ggml_new_tensor(context, static_cast<ggml_type>(stored.type), stored.n_dims, shape.data());
    ggml_set_name(tensor, stored.name.c_str());
    gguf_add_tensor(header.get(), tensor);
  }
  return header;
}

void write_rows(GgufOutput& out, const StoredTensor& tensor, std::span<const TokenId> kept) {
  const std::size_t row = ggml_row_size(static_cast<ggml_type>(tensor.type), tensor.shape[0]);
  for (const TokenId id : kept)
    out.write(tensor.data.subspan(row * static_cast<std::size_t>(to_int(id)), row));
}

/// Tokenises every word with both vocabularies.
void compare(const WordCounts& words, const Vocabulary& before, const Vocabulary& after,
             std::span<const TokenId> kept, const std::function<void(double)>& progress, TrimReport& report) {
  constexpr std::size_t kExamples = 10, kEvery = 1024;
  std::vector<std::pair<std::int64_t, std::string>> different;
  std::int64_t n_same = 0;
  std::size_t n_done = 0;
  words.for_each([&](std::string_view word, bool is_first, std::int64_t count) {
    std::vector<TokenId> tokens = after.tokenize_word(word, is_first);
    for (TokenId& token : tokens) token = kept[static_cast<std::size_t>(to_int(token))];
    if (tokens == before.tokenize_word(word, is_first)) {
      ++report.n_same;
      n_same += count;
    } else {
      different.emplace_back(-count, word);
    }
    if (++n_done % kEvery == 0) progress(static_cast<double>(n_done) / static_cast<double>(words.size()));
  });
  report.n_words = words.size();
  report.share_of_text = static_cast<double>(n_same) / static_cast<double>(words.n_words());
  std::sort(different.begin(), different.end());
  for (std::size_t i = 0; i < std::min(kExamples, different.size()); ++i) {
    report.different.push_back(different[i].second);
  }
}

}  // namespace

TrimReport trim_vocabulary(const std::string& input, const std::string& output, const WordCounts& words,
                           std::size_t n_rows, const std::function<void(double)>& progress) {
  if (words.size() == 0) {
    throw Error(ErrorCode::kInvalidArgument, "texts to keep the vocabulary for: expected words, got none");
  }
  const auto file = GgufFile::open(input);
  const TokenizerTables tables = read_tokenizer_tables(*file);
  const std::size_t n_vocab = tables.pieces.size();
  const auto vocabulary = Vocabulary::load(input, tables);
  check_input(*file, n_vocab);

  const auto counts = count_tokens(words, *vocabulary, part_of(progress, 0, kCounted));
  const std::vector<TokenId> kept =
      choose_cut(tables, *vocabulary, counts, {.n_most = n_rows, .always = template_ids(*file, *vocabulary)});
  const TokenizerTables cut = cut_tables(tables, kept);
  const ggml_context_ptr context(
      ggml_init({(file->tensors().size() + 1) * ggml_tensor_overhead(), nullptr, true}));
  const gguf_context_ptr header = describe_output(*file, cut, kept, n_vocab, context.get());

  TrimReport report{.rows_before = n_vocab,
                    .rows_after = kept.size(),
                    .bytes_before = file->mapping().size(),
                    .merges_before = tables.merges.size(),
                    .merges_after = cut.merges.size()};
  GgufOutput out(output, header.get());
  for (const StoredTensor& tensor : file->tensors()) {
    if (has_vocabulary_rows(tensor)) {
      write_rows(out, tensor, kept);
      report.tensors.push_back(tensor.name);
    } else {
      out.write(tensor.data);
    }
  }
  report.bytes_after = out.commit();
  part_of(progress, 0, kWritten)(1);

  const auto written = Vocabulary::load(output, read_tokenizer_tables(*GgufFile::open(output)));
  compare(words, *vocabulary, *written, kept, part_of(progress, kWritten, 1), report);
  return report;
}

}  // namespace tandem
