// WER and CER against jiwer: edits and lengths exactly, per line and summed.
#include "eval/error_rate.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "eval/quality_set.h"
#include "tandem/error.h"

namespace tandem {
namespace {

void expect_equal(const testing::QualitySet& set, const char* key, Normalisation normalisation) {
  SCOPED_TRACE(set.name + " " + key);
  const boost::json::object& expected = set.expected.at(key).as_object();
  const boost::json::array& sentences = expected.at("sentences").as_array();
  ASSERT_EQ(sentences.size(), set.hypotheses.size());
  ASSERT_EQ(sentences.size(), set.references.size());
  for (std::size_t i = 0; i < sentences.size(); ++i) {
    const ErrorCounts counts = count_errors(set.hypotheses[i], set.references[i], normalisation);
    EXPECT_EQ(counts.words.edits, sentences[i].at("word_edits").as_int64()) << "line " << i + 1;
    EXPECT_EQ(counts.words.length, sentences[i].at("words").as_int64()) << "line " << i + 1;
    EXPECT_EQ(counts.characters.edits, sentences[i].at("char_edits").as_int64()) << "line " << i + 1;
    EXPECT_EQ(counts.characters.length, sentences[i].at("chars").as_int64()) << "line " << i + 1;
  }
  const ErrorCounts sum = corpus_errors(set.hypotheses, set.references, normalisation);
  EXPECT_DOUBLE_EQ(sum.words.rate(), expected.at("wer").to_number<double>());
  EXPECT_DOUBLE_EQ(sum.characters.rate(), expected.at("cer").to_number<double>());
}

TEST(ErrorRate, EqualsJiwer) {
  for (const testing::QualitySet& set : testing::quality_sets("raw")) {
    expect_equal(set, "raw", Normalisation::kNone);
    expect_equal(set, "normalised", Normalisation::kSpokenText);
  }
}

TEST(ErrorRate, PunctuationLeavesNoGapAndSymbolsStay) {
  const ErrorCounts counts =
      count_errors("dont pay $5 for wellknown", "Don't pay $5, for well-known!", Normalisation::kSpokenText);
  EXPECT_EQ(counts.characters.edits, 0);
  EXPECT_EQ(counts.words.length, 5);
}

TEST(ErrorRate, EmptyReferenceHasNoRate) {
  EXPECT_THROW(static_cast<void>(count_errors("word", "", Normalisation::kNone).words.rate()), Error);
  EXPECT_EQ(count_errors("", "", Normalisation::kNone).words.rate(), 0);
}

TEST(ErrorRate, NothingAndUnequalNumbersAreErrors) {
  const std::vector<std::string> one = {"a"};
  EXPECT_THROW(corpus_errors({}, {}, Normalisation::kNone), Error);
  EXPECT_THROW(corpus_errors(one, {}, Normalisation::kNone), Error);
}

}  // namespace
}  // namespace tandem
