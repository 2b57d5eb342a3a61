// BLEU against sacrebleu: the corpus to 1e-6, its counts exactly, every sentence.
#include "eval/bleu.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "eval/quality_set.h"
#include "tandem/error.h"

namespace tandem {
namespace {

constexpr double kTolerance = 1e-6;

struct Variant {
  const char* name;
  BleuOptions options;
};

const Variant kVariants[] = {
    {"BLEU-13a", {}},
    {"BLEU-zh", {.tokenizer = Tokenizer::kZh}},
    {"BLEU-intl", {.tokenizer = Tokenizer::kIntl}},
    {"BLEU-char", {.tokenizer = Tokenizer::kChar}},
    {"BLEU-13a-lowercase", {.letters = Case::kLower}},
};

void expect_equal(const Bleu& bleu, const boost::json::object& expected) {
  EXPECT_NEAR(bleu.score, expected.at("score").to_number<double>(), kTolerance);
  EXPECT_NEAR(bleu.brevity_penalty, expected.at("bp").to_number<double>(), kTolerance);
  EXPECT_EQ(bleu.counts.system_length, expected.at("sys_len").as_int64());
  EXPECT_EQ(bleu.counts.reference_length, expected.at("ref_len").as_int64());
  for (std::size_t n = 0; n < kBleuOrder; ++n) {
    EXPECT_NEAR(bleu.precisions[n], expected.at("precisions").at(n).to_number<double>(), kTolerance);
    EXPECT_EQ(bleu.counts.matches[n], expected.at("counts").at(n).as_int64()) << "order " << n + 1;
    EXPECT_EQ(bleu.counts.totals[n], expected.at("totals").at(n).as_int64()) << "order " << n + 1;
  }
}

TEST(Bleu, CorpusEqualsSacrebleu) {
  for (const testing::QualitySet& set : testing::quality_sets("corpus")) {
    for (const Variant& variant : kVariants) {
      SCOPED_TRACE(set.name + " " + variant.name);
      const boost::json::object& expected = set.expected.at("corpus").at(variant.name).as_object();
      expect_equal(corpus_bleu(set.hypotheses, set.references, variant.options), expected);
      const std::string tokenizer = "tok:" + std::string(tokenizer_name(variant.options.tokenizer));
      EXPECT_NE(std::string(expected.at("signature").as_string()).find(tokenizer), std::string::npos);
    }
  }
}

TEST(Bleu, SentencesEqualSacrebleu) {
  for (const testing::QualitySet& set : testing::quality_sets("corpus")) {
    for (const Variant& variant : kVariants) {
      SCOPED_TRACE(set.name + " " + variant.name);
      const boost::json::array& scores = set.expected.at("sentence").at(variant.name).at("scores").as_array();
      ASSERT_EQ(scores.size(), set.hypotheses.size());
      ASSERT_EQ(scores.size(), set.references.size());
      for (std::size_t i = 0; i < scores.size(); ++i) {
        const Bleu bleu = sentence_bleu(set.hypotheses[i], set.references[i], variant.options);
        EXPECT_NEAR(bleu.score, scores[i].to_number<double>(), kTolerance) << "line " << i + 1;
      }
    }
  }
}

TEST(Bleu, CorpusSumsCountsBeforeItDivides) {
  const std::vector<std::string> system = {"a b c d e", "x"};
  const std::vector<std::string> references = {"a b c d e", "y"};
  const Bleu bleu = corpus_bleu(system, references);
  EXPECT_DOUBLE_EQ(bleu.precisions[0], 100.0 * 5 / 6);
  EXPECT_DOUBLE_EQ(bleu.precisions[3], 100.0);
}

TEST(Bleu, CorpusTooShortForFourGramsScoresZero) {
  const std::vector<std::string> three_words = {"a b c"};
  EXPECT_EQ(corpus_bleu(three_words, three_words).score, 0);
  EXPECT_NEAR(sentence_bleu("a b c", "a b c").score, 100, kTolerance);
}

TEST(Bleu, EmptyLinesScoreZeroAndAreCounted) {
  const std::vector<std::string> empty = {"", ""};
  const std::vector<std::string> references = {"one", "two words"};
  const Bleu bleu = corpus_bleu(empty, references);
  EXPECT_EQ(bleu.score, 0);
  EXPECT_EQ(bleu.brevity_penalty, 0);
  EXPECT_EQ(bleu.counts.reference_length, 3);
}

TEST(Bleu, NothingToScoreIsAnError) {
  EXPECT_THROW(corpus_bleu({}, {}), Error);
}

TEST(Bleu, UnequalNumbersOfLinesAreAnError) {
  const std::vector<std::string> two = {"a", "b"};
  const std::vector<std::string> one = {"a"};
  try {
    corpus_bleu(two, one);
    FAIL() << "two hypotheses were scored against one reference";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    EXPECT_STREQ(error.what(), "BLEU: expected one reference per hypothesis, got 1 and 2");
  }
}

}  // namespace
}  // namespace tandem
