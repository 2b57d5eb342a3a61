// The rules of the tokenizers, one by one; that they add up to sacrebleu's scores is in bleu_test.cpp.
#include "eval/tokenize.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "eval/unicode.h"

namespace tandem {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(Tokenize13a, PointsAndCommasStayInsideNumbersOnly) {
  EXPECT_THAT(tokenize("It cost 1,000.50, or 3.", Tokenizer::k13a),
              ElementsAre(U"It", U"cost", U"1,000.50", U",", U"or", U"3", U"."));
}

TEST(Tokenize13a, EachPointOfARowIsAToken) {
  EXPECT_THAT(tokenize("well...", Tokenizer::k13a), ElementsAre(U"well", U".", U".", U"."));
}

TEST(Tokenize13a, HyphensPartNumbersNotWords) {
  EXPECT_THAT(tokenize("well-known 1990-91 a-1", Tokenizer::k13a),
              ElementsAre(U"well-known", U"1990", U"-", U"91", U"a-1"));
}

TEST(Tokenize13a, ApostrophesStayAndQuotesPart) {
  EXPECT_THAT(tokenize("don't \"go\"", Tokenizer::k13a), ElementsAre(U"don't", U"\"", U"go", U"\""));
}

TEST(Tokenize13a, EscapesAreUndoneInOrder) {
  EXPECT_THAT(tokenize("a&amp;lt;b <skipped>&quot;", Tokenizer::k13a), ElementsAre(U"a", U"<", U"b", U"\""));
}

TEST(Tokenize13a, KnowsAsciiPunctuationOnly) {
  EXPECT_THAT(tokenize("„Größe“", Tokenizer::k13a), ElementsAre(U"„Größe“"));
}

TEST(TokenizeIntl, KnowsPunctuationAndSymbolsOfAllScripts) {
  EXPECT_THAT(tokenize("„Größe“ 3€ 1,5 9.", Tokenizer::kIntl),
              ElementsAre(U"„", U"Größe", U"“", U"3", U"€", U"1,5", U"9."));
}

TEST(TokenizeZh, EveryChineseCharacterIsAToken) {
  EXPECT_THAT(tokenize("我有GPU，3.5 个。", Tokenizer::kZh),
              ElementsAre(U"我", U"有", U"GPU", U"，", U"3.5", U"个", U"。"));
}

TEST(TokenizeZh, CurlyQuotesAreCutOutAndPlaneTwoIsNot) {
  EXPECT_THAT(tokenize("a“b\U00020000\U00020001", Tokenizer::kZh),
              ElementsAre(U"a", U"“", U"b\U00020000\U00020001"));
}

TEST(TokenizeChar, DropsAllWhiteSpace) {
  EXPECT_THAT(tokenize(" a\u3000é\t.", Tokenizer::kChar), ElementsAre(U"a", U"é", U"."));
}

TEST(Tokenize, NothingHasNoTokens) {
  for (const Tokenizer tokenizer : {Tokenizer::k13a, Tokenizer::kZh, Tokenizer::kIntl, Tokenizer::kChar}) {
    EXPECT_THAT(tokenize("", tokenizer), IsEmpty());
    EXPECT_THAT(tokenize(" \u00A0\u2028\n", tokenizer), IsEmpty());
  }
}

TEST(Unicode, BrokenBytesBecomeReplacementsAndTheRestIsRead) {
  EXPECT_EQ(decode_utf8("a\xC3"), U"a\uFFFD");
  EXPECT_EQ(decode_utf8("\xFF\xC3\xA9"), U"\uFFFDé");
  EXPECT_EQ(decode_utf8("\xED\xA0\x80z").back(), U'z');  // a surrogate
}

TEST(Unicode, WhiteSpaceIsWhatPythonSplitsAt) {
  EXPECT_FALSE(is_space(0x200B));
  EXPECT_TRUE(is_space(0x1F));
  EXPECT_TRUE(is_space(0x85));
  EXPECT_TRUE(is_space(0xA0));
  EXPECT_TRUE(is_space(0x3000));
}

TEST(Unicode, DottedCapitalIHasTwoCodePointsInLowerCase) {
  EXPECT_EQ(to_lower(U"\u0130Ä"), U"i\u0307ä");
}

}  // namespace
}  // namespace tandem
