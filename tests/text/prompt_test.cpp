#include "text/prompt.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tandem/error.h"
#include "text/vocab_files.h"

namespace tandem {
namespace {

using ::testing::AllOf;
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

TEST_F(PromptTest, AnUnknownSpecialTokenIsAnErrorThatNamesNearOnes) {
  PromptTemplate prompt = kTemplate;
  prompt.target_prefix[1].second = "<to:dee>";  // of a language that nobody asked for here
  EXPECT_THAT(complaint(prompt, "de", ErrorCode::kBadFile),
              AllOf(HasSubstr("target prefix of \"fr\""), HasSubstr("such as <to:de>, "),
                    HasSubstr("got \"<to:dee>\"")));
  prompt = kTemplate;
  prompt.source_prefix = "<s><|im_start|>user";
  EXPECT_THAT(complaint(prompt, "de", ErrorCode::kBadFile),
              HasSubstr("source prefix: expected special tokens"));
  prompt = kTemplate;
  prompt.end = "</S>";
  EXPECT_THAT(complaint(prompt, "de", ErrorCode::kBadFile),
              HasSubstr("end: expected special tokens of the vocabulary such as </s>"));
  prompt = kTemplate;
  prompt.source_suffix = "text <0x0A>";  // the name of a byte is no special token
  EXPECT_THAT(complaint(prompt, "de", ErrorCode::kBadFile), HasSubstr("got \"<0x0A>\""));
}

TEST_F(PromptTest, APlaceholderIsAnError) {
  for (const std::string placeholder : {"{lang}", "{0}", "{{", "{%"}) {
    PromptTemplate prompt = kTemplate;
    prompt.target_prefix[0].second = "Translate into " + placeholder + " }}:";
    EXPECT_THAT(complaint(prompt, "de", ErrorCode::kBadFile),
                HasSubstr("got the placeholder \"" + placeholder + "\""))
        << placeholder;
  }
}

TEST_F(PromptTest, SignsOfPlainTextAreText) {
  for (const std::string_view text :
       {"a < b > c", "<>", "x <- y", "if (a<b) {", "{ a }", "\"{}\"", "<a href=\"x\">", "1<2"}) {
    PromptTemplate prompt = kTemplate;
    prompt.source_prefix = text;
    EXPECT_EQ(tokenize_prompt(prompt, "de", *vocabulary_).source_prefix, vocabulary_->tokenize(text)) << text;
  }
}

}  // namespace
}  // namespace tandem
