#include "text/spelling.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tandem/error.h"
#include "text/detokenizer.h"
#include "text/vocab_files.h"
#include "text/word_tracker.h"

namespace tandem {
namespace {

using ::testing::ElementsAre;

std::string bytes_of(const Vocabulary& vocabulary, const std::vector<TokenId>& tokens) {
  std::string bytes;
  for (const TokenId token : tokens) bytes += vocabulary.bytes(token);
  return bytes;
}

TokenId id_of(const Vocabulary& vocabulary, std::string_view bytes) {
  for (int id = vocabulary.size() - 1; id >= 0; --id) {
    if (vocabulary.bytes(TokenId{id}) == bytes) return TokenId{id};
  }
  throw std::runtime_error("no piece " + std::string(bytes));
}

std::vector<std::int64_t> count_tokens(const Vocabulary& vocabulary, const std::vector<std::string>& texts) {
  std::vector<std::int64_t> counts(static_cast<std::size_t>(vocabulary.size()));
  for (const std::string& text : texts) {
    for (const TokenId token : vocabulary.tokenize(text)) ++counts[static_cast<std::size_t>(to_int(token))];
  }
  return counts;
}

/// Whether both token sequences have their words begin at the same bytes.
std::vector<std::size_t> word_starts(const Vocabulary& vocabulary, const std::vector<TokenId>& tokens) {
  WordTracker tracker(vocabulary.pieces(), WordUnit::kSpaced);
  std::vector<std::size_t> starts;
  std::size_t n_bytes = 0;
  for (const TokenId token : tokens) {
    if (tracker.would_begin_word(token)) starts.push_back(n_bytes);
    tracker.accept(token);
    n_bytes += vocabulary.bytes(token).size();
  }
  return starts;
}

class SpellingOfEveryVocabulary : public ::testing::TestWithParam<std::filesystem::path> {
 protected:
  void SetUp() override { vocabulary_ = testing::load_vocabulary(GetParam()); }
  std::shared_ptr<const Vocabulary> vocabulary_;
};

TEST_P(SpellingOfEveryVocabulary, EveryPieceOfTextCanBeSpeltWithTheChosen) {
  const auto counts = count_tokens(*vocabulary_, testing::sentences());
  const auto kept = choose_kept_ids(counts, 200, *vocabulary_, {});
  const Speller speller(*vocabulary_, kept);
  const auto table = spell_all(*vocabulary_, kept);
  for (int id = 0; id < vocabulary_->size(); ++id) {
    const PieceInfo& piece = vocabulary_->piece(TokenId{id});
    const std::vector<TokenId>& pieces = table[static_cast<std::size_t>(id)];
    EXPECT_EQ(pieces.empty(), piece.is_masked || piece.is_end) << id;
    EXPECT_TRUE(std::all_of(pieces.begin(), pieces.end(), [&](TokenId p) { return speller.is_kept(p); }));
    if (pieces.empty()) continue;
    EXPECT_EQ(bytes_of(*vocabulary_, pieces), vocabulary_->bytes(TokenId{id})) << id;
  }
}

TEST_P(SpellingOfEveryVocabulary, SpeltTextsHaveTheSameTextAndTheSameWords) {
  const auto counts = count_tokens(*vocabulary_, testing::sentences());
  const auto kept = choose_kept_ids(counts, 150, *vocabulary_, {});
  const Speller speller(*vocabulary_, kept);
  int n_longer = 0;
  for (const std::string& sentence : testing::sentences()) {
    const std::vector<TokenId> tokens = vocabulary_->tokenize(sentence);
    const auto spelt = speller.spell(tokens);
    ASSERT_TRUE(spelt.has_value()) << sentence;
    Detokenizer detokenizer(*vocabulary_);
    std::string text;
    for (const TokenId token : *spelt) text += detokenizer.accept(token);
    EXPECT_EQ(text, sentence);
    EXPECT_EQ(word_starts(*vocabulary_, *spelt), word_starts(*vocabulary_, tokens)) << sentence;
    n_longer += spelt->size() > tokens.size() ? 1 : 0;
  }
  EXPECT_GT(n_longer, 100);  // else nothing was cut, and nothing tested
}

TEST_P(SpellingOfEveryVocabulary, ChosenIdsAreAscendingAndHoldTheFrequentOnes) {
  const auto counts = count_tokens(*vocabulary_, testing::sentences());
  const auto kept = choose_kept_ids(counts, 100, *vocabulary_, {});
  EXPECT_TRUE(std::is_sorted(kept.begin(), kept.end()));
  EXPECT_EQ(std::adjacent_find(kept.begin(), kept.end()), kept.end());
  const Speller speller(*vocabulary_, kept);
  std::vector<std::int64_t> sorted(counts);
  std::sort(sorted.rbegin(), sorted.rend());
  for (std::size_t id = 0; id < counts.size(); ++id) {
    EXPECT_TRUE(counts[id] <= sorted[100] || speller.is_kept(TokenId{static_cast<int>(id)})) << id;
  }
  const auto one_more = choose_kept_ids(counts, 101, *vocabulary_, {});
  EXPECT_LE(one_more.size() - kept.size(), 1u);
}

std::string file_name(const ::testing::TestParamInfo<std::filesystem::path>& info) {
  std::string name = info.param.stem().string();
  for (char& c : name) c = std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
  return name;
}

INSTANTIATE_TEST_SUITE_P(Vocabulary, SpellingOfEveryVocabulary,
                         ::testing::ValuesIn(testing::vocabulary_paths()), file_name);

class SpellingTest : public ::testing::Test {
 protected:
  std::vector<std::string> spell(std::string_view bytes, const std::vector<std::string>& kept) const {
    std::vector<TokenId> ids;
    for (const std::string& piece : kept) ids.push_back(id_of(*vocabulary_, piece));
    const auto pieces = Speller(*vocabulary_, ids).spell(id_of(*vocabulary_, bytes));
    if (!pieces) return {"nothing"};
    std::vector<std::string> written;
    for (const TokenId piece : *pieces) written.emplace_back(vocabulary_->bytes(piece));
    return written;
  }

  std::shared_ptr<const Vocabulary> vocabulary_ = testing::load_vocabulary(testing::fixture_path());
};

TEST_F(SpellingTest, FewestPiecesThenTheLongestFirst) {
  const std::vector<std::string> letters = {" ", "h", "a", "b", "e", "n"};
  EXPECT_THAT(spell(" haben", letters), ElementsAre(" ", "h", "a", "b", "e", "n"));
  EXPECT_THAT(spell(" haben", {" ", "h", "a", "b", "e", "n", " ha", "en"}), ElementsAre(" ha", "b", "en"));
  // Of two spellings of two pieces the one whose first is longer.
  EXPECT_THAT(spell(" haben", {" ha", "b", "en", " hab", "e", "n"}), ElementsAre(" hab", "en"));
  EXPECT_THAT(spell("ich", {"i", "ch", "ic", "h"}), ElementsAre("ic", "h"));
  EXPECT_THAT(spell("ation", {"at", "ate", "ion", "a", "t"}), ElementsAre("at", "ion"));
}

TEST_F(SpellingTest, DeadEndOfTheLongestPieceIsNoDeadEnd) {
  EXPECT_THAT(spell("icht", {"ich", "ic", "ht"}), ElementsAre("ic", "ht"));
}

TEST_F(SpellingTest, KeptIsItselfAndImpossibleIsNothing) {
  EXPECT_THAT(spell(" haben", {" haben", "a"}), ElementsAre(" haben"));
  EXPECT_THAT(spell(" haben", {"h", "a", "b", "e", "n"}), ElementsAre("nothing"));  // no mark
  EXPECT_THAT(spell(" haben", {" ", "h", "a", "b", "e"}), ElementsAre("nothing"));
}

TEST_F(SpellingTest, SpecialTokensAreNeverSpeltNorSpellWith) {
  const std::vector<TokenId> all_but_end = [&] {
    std::vector<TokenId> ids;
    for (int id = 3; id < vocabulary_->size(); ++id) ids.push_back(TokenId{id});
    return ids;
  }();
  const Speller speller(*vocabulary_, all_but_end);
  EXPECT_FALSE(speller.spell(TokenId{2}).has_value());  // </s>, though "</" and "s>" are there
  EXPECT_FALSE(speller.spell(TokenId{1}).has_value());
  EXPECT_EQ(speller.spell(TokenId{3}), std::vector<TokenId>{TokenId{3}});  // kept
}

TEST_F(SpellingTest, ACharactersOwnPieceBeforeItsBytesName) {
  const TokenId letter = id_of(*vocabulary_, "a");
  const TokenId name{6 + 'a'};
  ASSERT_EQ(vocabulary_->bytes(name), "a");
  ASSERT_TRUE(vocabulary_->piece(name).is_byte_name);
  ASSERT_FALSE(vocabulary_->piece(letter).is_byte_name);
  const TokenId word = id_of(*vocabulary_, " a");
  const std::vector<TokenId> kept = {letter, name, id_of(*vocabulary_, " ")};
  EXPECT_EQ(Speller(*vocabulary_, kept).spell(word)->back(), letter);
  const std::vector<TokenId> reversed(kept.rbegin(), kept.rend());
  EXPECT_EQ(Speller(*vocabulary_, reversed).spell(word)->back(), letter);
}

TEST_F(SpellingTest, ChosenAreTheMostFrequentBytesCharactersAndWhatIsAsked) {
  std::vector<std::int64_t> counts(static_cast<std::size_t>(vocabulary_->size()));
  const auto count = [&](std::string_view bytes) -> std::int64_t& {
    return counts[static_cast<std::size_t>(to_int(id_of(*vocabulary_, bytes)))];
  };
  count(" haben") = 3;
  count("ür") = 2;
  count("icht") = 1;
  counts[1] = 100;  // a control token is no text, however often it was counted
  const std::vector<TokenId> always = {TokenId{2}, TokenId{3}};
  const auto kept = choose_kept_ids(counts, 1, *vocabulary_, always);
  const Speller speller(*vocabulary_, kept);
  EXPECT_TRUE(speller.is_kept(id_of(*vocabulary_, " haben")));
  EXPECT_FALSE(speller.is_kept(id_of(*vocabulary_, "ür")));
  EXPECT_TRUE(speller.is_kept(id_of(*vocabulary_, "ü")));   // occurs, in "ür"
  EXPECT_FALSE(speller.is_kept(id_of(*vocabulary_, "ß")));  // does not
  EXPECT_TRUE(speller.is_kept(id_of(*vocabulary_, " a")));  // a letter with its mark
  EXPECT_FALSE(speller.is_kept(TokenId{1}));
  EXPECT_TRUE(speller.is_kept(TokenId{2}) && speller.is_kept(TokenId{3}));
  for (int byte = 0; byte < 256; ++byte) EXPECT_TRUE(speller.is_kept(TokenId{6 + byte})) << byte;
}

TEST_F(SpellingTest, BadLengthsAndIdsAreErrors) {
  const std::vector<std::int64_t> few(3);
  EXPECT_THROW(choose_kept_ids(few, 1, *vocabulary_, {}), Error);
  const std::vector<std::int64_t> counts(static_cast<std::size_t>(vocabulary_->size()));
  const std::vector<TokenId> beyond = {TokenId{vocabulary_->size()}};
  const std::vector<TokenId> negative = {TokenId{-1}};
  EXPECT_THROW(choose_kept_ids(counts, 1, *vocabulary_, beyond), Error);
  EXPECT_THROW(Speller(*vocabulary_, negative), Error);
  EXPECT_THROW((void)Speller(*vocabulary_, {}).spell(beyond[0]), Error);
}

}  // namespace
}  // namespace tandem
