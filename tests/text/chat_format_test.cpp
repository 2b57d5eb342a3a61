#include "text/chat_format.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "tandem/error.h"
#include "text/vocab_files.h"

namespace tandem {
namespace {

using ::testing::HasSubstr;

struct Case {
  std::string name;
  std::vector<std::string> tokens;
  std::string chat;  // of source "Tom", into German, up to the answer
  std::string end;
};

// As the formats' own chat templates write one user turn.
const std::vector<Case> kCases = {
    {"gemma",
     {"<bos>", "<start_of_turn>", "<end_of_turn>"},
     "<bos><start_of_turn>user\nTom\n\nTranslate the text above into "
     "German.<end_of_turn>\n<start_of_turn>model\n",
     "<end_of_turn>"},
    {"chatml",
     {"<|im_start|>", "<|im_end|>"},
     "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\nTom\n\n"
     "Translate the text above into German.<|im_end|>\n<|im_start|>assistant\n",
     "<|im_end|>"},
    {"llama3",
     {"<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"},
     "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nTom\n\nTranslate the text above into "
     "German."
     "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
     "<|eot_id|>"},
    {"phi3",
     {"<s>", "<|user|>", "<|assistant|>", "<|end|>"},
     "<s><|user|>\nTom\n\nTranslate the text above into German.<|end|>\n<|assistant|>\n",
     "<|end|>"}};

TEST(ChatFormat, IsKnownByItsTokensAndWritesItsTurns) {
  for (const Case& c : kCases) {
    const auto vocabulary = testing::load_with_special(testing::byte_level_fixture_path(), c.tokens);
    const auto format = find_chat_format(*vocabulary);
    ASSERT_TRUE(format.has_value()) << c.name;
    EXPECT_EQ(format->name, c.name);
    const PromptTemplate prompt = make_chat_prompt(*format, "de", *vocabulary);
    EXPECT_EQ(prompt.source_prefix + "Tom" + prompt.source_suffix + prompt.target_prefix.at(0).second,
              c.chat);
    EXPECT_EQ(prompt.end, c.end);
    // Every special token of it is one token, or this throws.
    EXPECT_EQ(tokenize_prompt(prompt, "de", *vocabulary).end.size(), 1u) << c.name;
  }
}

TEST(ChatFormat, LeavesOutABeginThatTheVocabularyLacks) {
  const auto vocabulary = testing::load_with_special(testing::byte_level_fixture_path(),
                                                     {"<|user|>", "<|assistant|>", "<|end|>"});
  const PromptTemplate prompt = make_chat_prompt(*find_chat_format(*vocabulary), "fr", *vocabulary);
  EXPECT_EQ(prompt.source_prefix, "<|user|>\n");
  EXPECT_THAT(prompt.target_prefix.at(0).second, HasSubstr("French"));
}

TEST(ChatFormat, ABaseModelHasNone) {
  EXPECT_FALSE(find_chat_format(*testing::load_vocabulary(testing::fixture_path())).has_value());
  const auto half = testing::load_with_special(testing::byte_level_fixture_path(), {"<|im_start|>"});
  EXPECT_FALSE(find_chat_format(*half).has_value());
}

TEST(ChatFormat, OfRealVocabularies) {
  const std::map<std::string, std::string> expected = {{"ggml-vocab-llama-bpe", "llama3"},
                                                       {"ggml-vocab-phi-3", "phi3"},
                                                       {"ggml-vocab-qwen2", "chatml"},
                                                       {"ggml-vocab-llama-spm", ""},
                                                       {"ggml-vocab-gpt-2", ""}};
  int n_checked = 0;
  for (const std::filesystem::path& path : testing::vocabulary_paths()) {
    const auto known = expected.find(path.stem().string());
    if (known == expected.end()) continue;
    const auto format = find_chat_format(*testing::load_vocabulary(path));
    EXPECT_EQ(format ? format->name : "", known->second) << path;
    ++n_checked;
  }
  if (n_checked == 0) GTEST_SKIP() << "no vocabularies of llama.cpp here (see tests/text/README.md)";
}

TEST(LanguageName, ByCodeWithoutItsRegion) {
  EXPECT_EQ(language_name("de"), "German");
  EXPECT_EQ(language_name("pt-BR"), "Portuguese");
  EXPECT_EQ(language_name("ZH_hans"), "Chinese");
  EXPECT_FALSE(language_name("tlh").has_value());
  EXPECT_FALSE(language_name("").has_value());
  const auto vocabulary = testing::load_with_special(testing::byte_level_fixture_path(), kCases[1].tokens);
  try {
    make_chat_prompt(*find_chat_format(*vocabulary), "tlh", *vocabulary);
    FAIL() << "expected an error";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kNotFound);
    EXPECT_THAT(e.what(), HasSubstr("de, el, en"));
  }
}

}  // namespace
}  // namespace tandem
