#include "model/stream_metadata.h"

#include <gguf.h>
#include <gtest/gtest.h>

#include "model/gguf_file.h"
#include "model/model.h"
#include "model/tiny_llama.h"
#include "tandem/error.h"

namespace tandem {
namespace {

constexpr int kVocab = 100;

class StreamMetadataTest : public ::testing::Test {
 protected:
  std::optional<StreamMetadata> read(const std::function<void(gguf_context*)>& edit) {
    const std::string path = folder_.file("metadata.gguf");
    const std::unique_ptr<gguf_context, void (*)(gguf_context*)> file(gguf_init_empty(), gguf_free);
    edit(file.get());
    gguf_write_to_file(file.get(), path.c_str(), true);
    return read_stream_metadata(*GgufFile::open(path), kVocab);
  }

  std::string error_of(const std::function<void(gguf_context*)>& edit) {
    try {
      read([&](gguf_context* file) {
        testing::add_stream_metadata(file);
        edit(file);
      });
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  }

  static void set_texts(gguf_context* file, const char* key, std::vector<const char*> texts) {
    gguf_set_arr_str(file, key, texts.data(), texts.size());
  }

  testing::TemporaryFolder folder_;
};

TEST_F(StreamMetadataTest, StockFilesHaveNone) {
  EXPECT_FALSE(read([](gguf_context* file) { gguf_set_val_str(file, "general.name", "stock"); }));
}

TEST_F(StreamMetadataTest, ACutVocabularyAloneMakesNoStreamingModel) {
  EXPECT_FALSE(read([](gguf_context* file) {
    const std::int32_t ids[] = {2, 3, 99};
    gguf_set_arr_data(file, "tandem.vocab.original_ids", GGUF_TYPE_INT32, ids, 3);
  }));
}

TEST_F(StreamMetadataTest, ATemplateOfUnknownTokensIsRefusedWhenTheModelIsLoaded) {
  const std::string path = folder_.file("model.gguf");
  testing::write_tiny_llama(path, {.n_layers = 1}, [](gguf_context* file) {
    testing::add_stream_metadata(file);
    set_texts(file, "tandem.template.target_prefix", {"<s>de", "<to:frr>"});
  });
  try {
    (void)Model::load(path);
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kBadFile);
    EXPECT_NE(std::string(error.what()).find(path + ": prompt: target prefix of \"fr\""), std::string::npos)
        << error.what();
    EXPECT_NE(std::string(error.what()).find("<to:fr>"), std::string::npos) << error.what();
  }
}

TEST_F(StreamMetadataTest, ReadsEveryKey) {
  const auto metadata = read([](gguf_context* file) {
    testing::add_stream_metadata(file);
    gguf_set_val_f32(file, "tandem.phi", 0.5F);
    gguf_set_val_str(file, "tandem.end_marker", "own_unit");
    const std::int32_t kept[] = {2, 3, 99};
    gguf_set_arr_data(file, "tandem.vocab.kept", GGUF_TYPE_INT32, kept, 3);
  });
  ASSERT_TRUE(metadata);
  EXPECT_EQ(metadata->target_start, Position::from_doubled(1));
  EXPECT_EQ(metadata->end_marker, TrainedEndMarker::kOwnUnit);
  EXPECT_EQ(metadata->wait_k, (std::vector<WaitK>{WaitK(3), WaitK::unlimited()}));
  EXPECT_EQ(metadata->prompt.source_prefix, "<s>");
  EXPECT_EQ(metadata->prompt.source_suffix, "</s>");
  EXPECT_EQ(metadata->prompt.end, "</s>");
  const std::vector<std::pair<std::string, std::string>> prefixes = {{"de", "<s>de"}, {"fr", "<s>fr"}};
  EXPECT_EQ(metadata->prompt.target_prefix, prefixes);
  EXPECT_EQ(metadata->source_languages, std::vector<std::string>{"en"});
  EXPECT_EQ(metadata->kept_ids, (std::vector<TokenId>{TokenId{2}, TokenId{3}, TokenId{99}}));
  EXPECT_EQ(metadata->data_licences, std::vector<std::string>{"CC0-1.0"});
}

TEST_F(StreamMetadataTest, EveryKeyButTheKeptIdsIsNeeded) {
  for (const char* key :
       {"tandem.version", "tandem.paradigm", "tandem.phi", "tandem.end_marker", "tandem.policy.wait_k",
        "tandem.template.source_prefix", "tandem.template.source_suffix", "tandem.template.end",
        "tandem.languages.source", "tandem.languages.target", "tandem.template.target_prefix",
        "tandem.training.summary", "tandem.training.data_licences"}) {
    const std::string error = error_of([&](gguf_context* file) { gguf_remove_key(file, key); });
    EXPECT_NE(error.find(std::string("key '") + key + "' is missing"), std::string::npos) << error;
  }
}

TEST_F(StreamMetadataTest, RefusesWhatContradicts) {
  const auto refuses = [&](const char* key, const std::function<void(gguf_context*)>& edit) {
    const std::string error = error_of(edit);
    EXPECT_NE(error.find(key), std::string::npos) << key << ": " << error;
  };
  refuses("tandem.version", [](gguf_context* f) { gguf_set_val_u32(f, "tandem.version", 2); });
  refuses("tandem.paradigm", [](gguf_context* f) { gguf_set_val_str(f, "tandem.paradigm", "interleaved"); });
  for (const float phi : {-1.0F, 0.25F, 1e30F, std::numeric_limits<float>::quiet_NaN()}) {
    refuses("tandem.phi", [&](gguf_context* f) { gguf_set_val_f32(f, "tandem.phi", phi); });
  }
  refuses("tandem.phi", [](gguf_context* f) { gguf_set_val_str(f, "tandem.phi", "0"); });
  refuses("tandem.end_marker",
          [](gguf_context* f) { gguf_set_val_str(f, "tandem.end_marker", "sometimes"); });
  for (const char* lag : {"0", "-1", "three", "3 ", "", "99999999999"}) {
    refuses("tandem.policy.wait_k", [&](gguf_context* f) { set_texts(f, "tandem.policy.wait_k", {lag}); });
  }
  refuses("tandem.policy.wait_k", [](gguf_context* f) { set_texts(f, "tandem.policy.wait_k", {}); });
  refuses("tandem.template.target_prefix",
          [](gguf_context* f) { set_texts(f, "tandem.template.target_prefix", {"<s>de"}); });
  refuses("tandem.template.target_prefix", [](gguf_context* f) {
    set_texts(f, "tandem.template.target_prefix", {"<s>", ""});
  });
  refuses("tandem.languages.target", [](gguf_context* f) {
    set_texts(f, "tandem.languages.target", {"de", "de"});
  });
  refuses("tandem.languages.source", [](gguf_context* f) { set_texts(f, "tandem.languages.source", {""}); });
  refuses("tandem.template.end", [](gguf_context* f) { gguf_set_val_str(f, "tandem.template.end", ""); });
  const auto kept = [](std::vector<std::int32_t> ids) {
    return [ids](gguf_context* f) {
      gguf_set_arr_data(f, "tandem.vocab.kept", GGUF_TYPE_INT32, ids.data(), ids.size());
    };
  };
  for (const std::int32_t n : {-1, 1 << 30}) {
    refuses("tandem.decoding.no_repeat_ngram",
            [n](gguf_context* f) { gguf_set_val_i32(f, "tandem.decoding.no_repeat_ngram", n); });
  }
  refuses("tandem.decoding.no_repeat_ngram",
          [](gguf_context* f) { gguf_set_val_str(f, "tandem.decoding.no_repeat_ngram", "4"); });
  refuses("tandem.vocab.kept", kept({3, 3}));
  refuses("tandem.vocab.kept", kept({-1}));
  refuses("tandem.vocab.kept", kept({kVocab}));
  refuses("tandem.vocab.kept", kept({}));
}

}  // namespace
}  // namespace tandem
