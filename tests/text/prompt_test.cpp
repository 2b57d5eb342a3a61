#include "text/prompt.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tandem/error.h"
#include "text/vocab_files.h"

namespace tandem {
namespace {

using ::testing::HasSubstr;

const PromptTemplate kTemplate = {"<s>", "", {{"de", "<to:de>"}, {"fr", "<to:fr>"}, {"it", ""}}, "</s>"};

class PromptTest : public ::testing::Test {
 protected:
  std::string complaint(const PromptTemplate& prompt, std::string_view language, ErrorCode code) {
    try {
      tokenize_prompt(prompt, language, *vocabulary_);
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), code);
      return e.what();
    }
    return "";
  }

  std::shared_ptr<const Vocabulary> vocabulary_ = testing::load_vocabulary(testing::fixture_path());
};

TEST_F(PromptTest, LanguageStandsOnTheTargetSide) {
  const Prompt de = tokenize_prompt(kTemplate, "de", *vocabulary_);
  const Prompt fr = tokenize_prompt(kTemplate, "fr", *vocabulary_);
  EXPECT_EQ(de.source_prefix, (std::vector<TokenId>{TokenId{1}}));
  EXPECT_EQ(de.source_prefix, fr.source_prefix);
  EXPECT_TRUE(de.source_suffix.empty());
  EXPECT_EQ(de.target_prefix, (std::vector<TokenId>{TokenId{3}}));
  EXPECT_EQ(fr.target_prefix, (std::vector<TokenId>{TokenId{4}}));
  EXPECT_EQ(de.end, (std::vector<TokenId>{TokenId{2}}));
}

TEST_F(PromptTest, UnknownLanguageNamesTheKnownOnes) {
  EXPECT_THAT(complaint(kTemplate, "es", ErrorCode::kNotFound), HasSubstr("one of [de, fr, it], got \"es\""));
}

TEST_F(PromptTest, PrefixAndEndNeedAToken) {
  EXPECT_THAT(complaint(kTemplate, "it", ErrorCode::kBadFile), HasSubstr("target prefix of \"it\""));
  PromptTemplate endless = kTemplate;
  endless.end.clear();
  EXPECT_THAT(complaint(endless, "de", ErrorCode::kBadFile), HasSubstr("end"));
}

}  // namespace
}  // namespace tandem
