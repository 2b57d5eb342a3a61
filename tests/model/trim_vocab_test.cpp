#include "model/trim_vocab.h"

#include <ggml.h>
#include <gguf.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "model/gguf_file.h"
#include "model/quantize.h"
#include "model/stream_metadata.h"
#include "model/tiny_family.h"
#include "model/tiny_llama.h"
#include "model/verify.h"
#include "tandem/error.h"
#include "text/vocabulary.h"

namespace tandem {
namespace {

using testing::TemporaryFolder;

/// English and German; the vocabulary was learnt from French and Chinese too.
WordCounts some_words() {
  WordCounts words;
  std::ifstream in(std::filesystem::path(TANDEM_TEST_DIR) / "text" / "sentences.txt");
  std::string line;
  for (int n = 0; n < 150 && std::getline(in, line); ++n) words.add(line);
  return words;
}

/// Gives a tiny model the byte-level vocabulary of tests/text, filled up to its number of rows.
void use_byte_level_vocabulary(gguf_context* model) {
  const std::int64_t tokens = gguf_find_key(model, "tokenizer.ggml.tokens");
  const std::size_t n_vocab = gguf_get_arr_n(model, tokens);
  const auto file =
      GgufFile::open((std::filesystem::path(TANDEM_TEST_DIR) / "text" / "fixture-bytes.gguf").string());
  TokenizerTables tables = read_tokenizer_tables(*file);
  while (tables.pieces.size() < n_vocab) {
    tables.pieces.push_back("filler" + std::to_string(tables.pieces.size()));
    tables.types.push_back(1);
  }
  gguf_set_val_str(model, "tokenizer.ggml.model", "gpt2");
  gguf_set_val_str(model, "tokenizer.ggml.pre", "gpt-2");
  testing::set_texts(model, "tokenizer.ggml.tokens", tables.pieces);
  testing::set_texts(model, "tokenizer.ggml.merges", tables.merges);
  gguf_set_arr_data(model, "tokenizer.ggml.token_type", GGUF_TYPE_INT32, tables.types.data(), n_vocab);
  gguf_remove_key(model, "tokenizer.ggml.scores");
  gguf_remove_key(model, "tokenizer.ggml.unknown_token_id");
  for (const auto& [key, id] : tables.special_ids) {
    gguf_set_val_u32(model, key.c_str(), static_cast<std::uint32_t>(id));
  }
}

class TrimVocab : public ::testing::Test {
 protected:
  TrimReport trim(std::size_t n_rows = 0) { return trim_vocabulary(input_, output_, some_words(), n_rows); }

  std::vector<std::int32_t> original_ids() {
    return *GgufFile::open(output_)->find_integers("tandem.vocab.original_ids");
  }

  /// Every row of the output has the bytes of the row that it was.
  void expect_rows_gathered(const char* tensor) {
    const auto before = GgufFile::open(input_);
    const auto after = GgufFile::open(output_);
    const StoredTensor* whole = before->find_tensor(tensor);
    const StoredTensor* cut = after->find_tensor(tensor);
    ASSERT_TRUE(whole != nullptr && cut != nullptr);
    EXPECT_EQ(cut->type, whole->type);
    const std::vector<std::int32_t> ids = original_ids();
    ASSERT_EQ(static_cast<std::size_t>(cut->shape[1]), ids.size());
    const std::size_t row = ggml_row_size(static_cast<ggml_type>(cut->type), cut->shape[0]);
    for (std::size_t i = 0; i < ids.size(); ++i) {
      const auto* expected = whole->data.data() + row * static_cast<std::size_t>(ids[i]);
      ASSERT_EQ(std::memcmp(cut->data.data() + row * i, expected, row), 0) << tensor << " row " << i;
    }
  }

  void expect_sound(const TrimReport& report) {
    EXPECT_LT(report.rows_after, report.rows_before);
    EXPECT_EQ(report.bytes_after, std::filesystem::file_size(output_));
    EXPECT_LT(report.bytes_after, report.bytes_before);
    EXPECT_EQ(report.n_words, some_words().size());
    EXPECT_EQ(report.n_same, report.n_words);
    EXPECT_EQ(report.share_of_text, 1.0);
    EXPECT_TRUE(report.different.empty());
    // libllama loads it and computes what we do; the tokenizer gives texts back.
    const VerifyReport verified = verify_model(output_, {.n_tokens = 24, .n_threads = 1});
    EXPECT_TRUE(verified.is_within_tolerance());
    EXPECT_TRUE(verified.tokenizer_round_trip);
  }

  TemporaryFolder folder_;
  std::string input_ = folder_.file("in.gguf");
  std::string output_ = folder_.file("out.gguf");
};

TEST_F(TrimVocab, OfEveryFamilyGathersRowsAndStaysLibllamas) {
  for (const auto& [name, shape] : testing::family_shapes()) {
    SCOPED_TRACE(name);
    testing::write_tiny_family(input_, shape);
    const TrimReport report = trim();
    expect_sound(report);
    for (const std::string& tensor : report.tensors) expect_rows_gathered(tensor.c_str());
    const auto before = GgufFile::open(input_);
    const auto after = GgufFile::open(output_);
    ASSERT_EQ(after->tensors().size(), before->tensors().size());
    for (const StoredTensor& tensor : after->tensors()) {
      if (std::find(report.tensors.begin(), report.tensors.end(), tensor.name) != report.tensors.end())
        continue;
      const StoredTensor& old = *before->find_tensor(tensor.name);
      ASSERT_EQ(tensor.data.size(), old.data.size());
      EXPECT_EQ(std::memcmp(tensor.data.data(), old.data.data(), old.data.size()), 0) << tensor.name;
    }
  }
}

TEST_F(TrimVocab, KeepsQuantisedRowsAsTheyAre) {
  for (const char* type : {"q8_0", "q4_k", "iq4_xs"}) {
    SCOPED_TRACE(type);
    testing::write_tiny_llama(input_, {.n_layers = 1}, type);
    const TrimReport report = trim();
    EXPECT_EQ(report.tensors, (std::vector<std::string>{"token_embd.weight", "output.weight"}));
    expect_rows_gathered("token_embd.weight");
    expect_rows_gathered("output.weight");
    EXPECT_EQ(report.n_same, report.n_words);
  }
}

TEST_F(TrimVocab, OfAByteLevelTokenizerKeepsTheMergesThatAreNeeded) {
  testing::write_tiny_llama(input_, {.n_layers = 1}, use_byte_level_vocabulary);
  const TrimReport report = trim();
  expect_sound(report);
  expect_rows_gathered("token_embd.weight");
  EXPECT_GT(report.merges_after, 50u);
  EXPECT_LT(report.merges_after, report.merges_before);
  const TokenizerTables tables = read_tokenizer_tables(*GgufFile::open(output_));
  EXPECT_EQ(tables.merges.size(), report.merges_after);
  EXPECT_EQ(tables.pieces.size(), report.rows_after);
}

TEST_F(TrimVocab, RenumbersSpecialAndKeptIdsAndKeepsTheTemplatesTokens) {
  const std::vector<std::int32_t> kept = {2, 3, 300, 700};
  testing::write_tiny_llama(input_, {.n_layers = 1}, [&](gguf_context* file) {
    testing::add_stream_metadata(file);
    const char* prefixes[] = {"<to:de>Quand ", "<to:fr>\u5bb6"};
    gguf_set_arr_str(file, "tandem.template.target_prefix", prefixes, 2);
    gguf_set_arr_data(file, "tandem.vocab.kept", GGUF_TYPE_INT32, kept.data(), kept.size());
    gguf_set_val_u32(file, "tokenizer.ggml.padding_token_id", 700);
    gguf_set_val_str(file, "tokenizer.huggingface.json", "{}");
  });
  const TrimReport report = trim();
  const auto file = GgufFile::open(output_);
  const TokenizerTables before = read_tokenizer_tables(*GgufFile::open(input_));
  const TokenizerTables after = read_tokenizer_tables(*file);
  for (const auto& [key, id] : after.special_ids) {
    const auto old = std::find_if(before.special_ids.begin(), before.special_ids.end(),
                                  [&, wanted = key](const auto& entry) { return entry.first == wanted; });
    ASSERT_NE(old, before.special_ids.end()) << key;
    EXPECT_EQ(after.pieces[static_cast<std::size_t>(id)],
              before.pieces[static_cast<std::size_t>(old->second)]);
  }
  const auto metadata = read_stream_metadata(*file, static_cast<int>(report.rows_after));
  ASSERT_TRUE(metadata.has_value());
  const std::vector<std::int32_t> originals = original_ids();
  std::vector<std::int32_t> kept_before;
  for (const TokenId id : metadata->kept_ids) {
    kept_before.push_back(originals[static_cast<std::size_t>(to_int(id))]);
  }
  EXPECT_EQ(kept_before.at(0), 2);
  EXPECT_TRUE(std::includes(kept.begin(), kept.end(), kept_before.begin(), kept_before.end()));
  const auto whole = Vocabulary::load(input_, before);
  const auto cut = Vocabulary::load(output_, after);
  for (const auto& [language, prefix] : metadata->prompt.target_prefix) {
    std::vector<TokenId> tokens = cut->tokenize_template(prefix);
    for (TokenId& token : tokens) token = TokenId{originals[static_cast<std::size_t>(to_int(token))]};
    EXPECT_EQ(tokens, whole->tokenize_template(prefix)) << prefix;
  }
  EXPECT_FALSE(file->find_text("tokenizer.huggingface.json"));
}

TEST_F(TrimVocab, TwiceStillKnowsTheFirstNumbers) {
  testing::write_tiny_llama(input_, {.n_layers = 1});
  trim();
  const std::vector<std::int32_t> first = original_ids();
  const std::string again = folder_.file("again.gguf");
  WordCounts fewer;
  fewer.add("Tom ist hier .");
  trim_vocabulary(output_, again, fewer, 0);
  const auto second = *GgufFile::open(again)->find_integers("tandem.vocab.original_ids");
  EXPECT_LT(second.size(), first.size());
  EXPECT_TRUE(std::includes(first.begin(), first.end(), second.begin(), second.end()));
  const TokenizerTables whole = read_tokenizer_tables(*GgufFile::open(input_));
  const TokenizerTables cut = read_tokenizer_tables(*GgufFile::open(again));
  for (std::size_t i = 0; i < second.size(); ++i) {
    ASSERT_EQ(cut.pieces[i], whole.pieces[static_cast<std::size_t>(second[i])]);
  }
}

TEST_F(TrimVocab, OfALimitedSizeSaysWhatIsTokenisedOtherwise) {
  testing::write_tiny_llama(input_, {.n_layers = 1});
  const TrimReport all = trim();
  const TrimReport report = trim(all.rows_after - 60);
  EXPECT_LE(report.rows_after, all.rows_after - 60);
  EXPECT_LT(report.n_same, report.n_words);
  EXPECT_GT(report.share_of_text, 0.3);
  EXPECT_LT(report.share_of_text, 1.0);
  EXPECT_EQ(report.different.size(), std::min<std::size_t>(10, report.n_words - report.n_same));
}

TEST_F(TrimVocab, BadInputIsOneErrorAndLeavesNoFile) {
  const auto error_of = [&](const WordCounts& words, std::size_t n_rows) {
    try {
      trim_vocabulary(input_, output_, words, n_rows);
    } catch (const Error& error) {
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
      EXPECT_FALSE(std::filesystem::exists(output_));
      return std::string(error.what());
    }
    return std::string("no error");
  };
  const auto has = [](const std::string& text, const char* part) {
    return text.find(part) != std::string::npos;
  };
  testing::write_tiny_llama(input_, {.n_layers = 1});
  EXPECT_TRUE(has(error_of({}, 0), "expected words, got none"));
  EXPECT_TRUE(has(error_of(some_words(), 50), "expected at least"));
  testing::write_tiny_llama(input_, {.n_layers = 1},
                            [](gguf_context* file) { gguf_set_val_str(file, "general.type", "adapter"); });
  EXPECT_TRUE(has(error_of(some_words(), 0), "expected 'model', got 'adapter'"));
  testing::write_tiny_llama(input_, {.n_layers = 1}, [](gguf_context* file) {
    const float numbers[] = {1, 2};
    gguf_set_arr_data(file, "tokenizer.ggml.bonus", GGUF_TYPE_FLOAT32, numbers, 2);
  });
  EXPECT_TRUE(has(error_of(some_words(), 0), "tokenizer.ggml.bonus"));
  std::filesystem::copy_file(std::filesystem::path(TANDEM_TEST_DIR) / "text" / "fixture.gguf", input_,
                             std::filesystem::copy_options::overwrite_existing);
  EXPECT_NE(error_of(some_words(), 0), "no error");
}

}  // namespace
}  // namespace tandem
