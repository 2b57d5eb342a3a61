// chrF2 and chrF2++ against sacrebleu.
#include "eval/chrf.h"

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
  ChrfWords words;
};

constexpr Variant kVariants[] = {{"chrF2", ChrfWords::kNone}, {"chrF2++", ChrfWords::kUpToTwo}};

TEST(Chrf, EqualsSacrebleu) {
  for (const testing::QualitySet& set : testing::quality_sets("corpus")) {
    for (const Variant& variant : kVariants) {
      SCOPED_TRACE(set.name + " " + variant.name);
      EXPECT_NEAR(corpus_chrf(set.hypotheses, set.references, variant.words),
                  set.expected.at("corpus").at(variant.name).at("score").to_number<double>(), kTolerance);
      const boost::json::array& scores = set.expected.at("sentence").at(variant.name).at("scores").as_array();
      ASSERT_EQ(scores.size(), set.hypotheses.size());
      for (std::size_t i = 0; i < scores.size(); ++i) {
        EXPECT_NEAR(sentence_chrf(set.hypotheses[i], set.references[i], variant.words),
                    scores[i].to_number<double>(), kTolerance)
            << "line " << i + 1;
      }
    }
  }
}

TEST(Chrf, NothingAndUnequalNumbersAreErrors) {
  const std::vector<std::string> one = {"a"};
  EXPECT_THROW(corpus_chrf({}, {}), Error);
  EXPECT_THROW(corpus_chrf(one, {}), Error);
}

}  // namespace
}  // namespace tandem
