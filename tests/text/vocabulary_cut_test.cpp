#include "text/vocabulary_cut.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "tandem/error.h"
#include "text/utf8.h"
#include "text/vocab_files.h"
#include "text/word_counts.h"

namespace tandem {
namespace {

using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

WordCounts words_of(const std::vector<std::string>& texts) {
  WordCounts words;
  for (const std::string& text : texts) words.add(text);
  return words;
}

/// Every second sentence: the other half is text that the cut vocabulary has not seen.
std::vector<std::string> half_of_sentences() {
  std::vector<std::string> half;
  const std::vector<std::string> all = testing::sentences();
  for (std::size_t i = 0; i < all.size(); i += 2) half.push_back(all[i]);
  return half;
}

class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& name)
      : path_(std::filesystem::temp_directory_path() / (std::to_string(::getpid()) + name)) {}
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
  }

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

class CutOfEveryVocabulary : public ::testing::TestWithParam<std::filesystem::path> {
 protected:
  void cut(std::size_t n_most) {
    const auto counts = count_tokens(words_, *vocabulary_);
    kept_ = choose_cut(tables_, *vocabulary_, counts, {.n_most = n_most});
    const TokenizerTables cut = cut_tables(tables_, kept_);
    check_tokenizer_tables(cut, "cut");
    const TemporaryFile file("-cut.gguf");
    testing::write_vocabulary(GetParam(), cut, file.path());
    cut_ = Vocabulary::load(file.path().string(), cut);
  }

  /// The word's tokens by the cut vocabulary, in the numbers of the whole one.
  std::vector<TokenId> tokenize_with_cut(std::string_view word, bool is_first) const {
    std::vector<TokenId> tokens = cut_->tokenize_word(word, is_first);
    for (TokenId& token : tokens) token = kept_.at(static_cast<std::size_t>(to_int(token)));
    return tokens;
  }

  TokenizerTables tables_ = testing::read_tables(GetParam());
  std::shared_ptr<const Vocabulary> vocabulary_ = testing::load_vocabulary(GetParam());
  WordCounts words_ = words_of(half_of_sentences());
  std::vector<TokenId> kept_;
  std::shared_ptr<const Vocabulary> cut_;
};

TEST_P(CutOfEveryVocabulary, KeepsTheTokensOfTheTextsItWasCutFor) {
  cut(0);
  EXPECT_LT(kept_.size(), tables_.pieces.size());
  words_.for_each([&](std::string_view word, bool is_first, std::int64_t) {
    EXPECT_EQ(tokenize_with_cut(word, is_first), vocabulary_->tokenize_word(word, is_first)) << word;
  });
}

TEST_P(CutOfEveryVocabulary, SpellsEveryOtherText) {
  cut(0);
  for (const std::string& sentence : testing::sentences()) {
    bool is_first = true;
    for (const std::string_view word : split_words(sentence)) {
      std::string text;
      for (const TokenId token : tokenize_with_cut(word, is_first)) text += vocabulary_->bytes(token);
      const std::string expected = fmt::format("{}{}", text.starts_with(' ') ? " " : "", word);
      EXPECT_EQ(text, expected) << sentence;
      is_first = false;
    }
  }
}

TEST_P(CutOfEveryVocabulary, OfALimitedSizeIsFilledWithTheMostFrequent) {
  const auto counts = count_tokens(words_, *vocabulary_);
  const std::size_t n_all = choose_cut(tables_, *vocabulary_, counts, {}).size();
  const std::size_t n_least =
      choose_cut(tables_, *vocabulary_, std::vector<std::int64_t>(counts.size()), {}).size();
  const std::size_t n_most = n_all - (n_all - n_least) / 10;  // room for most of them
  cut(n_most);
  EXPECT_LE(kept_.size(), n_most);
  EXPECT_GT(kept_.size() + 3, n_most);  // nothing wasted, but for a piece whose steps did not fit
  const auto most = std::max_element(counts.begin(), counts.end()) - counts.begin();
  EXPECT_TRUE(std::binary_search(kept_.begin(), kept_.end(), TokenId{static_cast<int>(most)}));
  EXPECT_THROW(choose_cut(tables_, *vocabulary_, counts, {.n_most = 10}), Error);
}

std::string file_name(const ::testing::TestParamInfo<std::filesystem::path>& info) {
  std::string name = info.param.stem().string();
  for (char& c : name) c = std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
  return name;
}

INSTANTIATE_TEST_SUITE_P(Vocabulary, CutOfEveryVocabulary, ::testing::ValuesIn(testing::vocabulary_paths()),
                         file_name);

std::vector<std::string> steps_toward(const TokenizerTables& tables, int id) {
  std::vector<std::string> names;
  for (const TokenId step : MergeSteps(tables).toward(TokenId{id})) {
    names.push_back(tables.pieces[static_cast<std::size_t>(to_int(step))]);
  }
  return names;
}

TEST(MergeSteps, ByScoreTakeTheBestPairFirstAndOfEqualsTheLeftmost) {
  TokenizerTables tables;
  tables.model = "llama";
  tables.pieces = {"a", "b", "c", "ab", "bc", "abc", "abcb", "cb"};
  tables.scores = {0, 0, 0, -2, -1, -3, -4, -9};
  EXPECT_THAT(steps_toward(tables, 5), UnorderedElementsAre("a", "b", "c", "bc", "abc"));  // not by "ab"
  EXPECT_THAT(steps_toward(tables, 6), UnorderedElementsAre("a", "b", "c", "bc", "abc", "abcb"));
  tables.scores[3] = -1;
  EXPECT_THAT(steps_toward(tables, 5), UnorderedElementsAre("a", "b", "c", "ab", "abc"));
}

TEST(MergeSteps, ByListTakeTheEarliestPair) {
  TokenizerTables tables;
  tables.model = "gpt2";
  tables.pieces = {"a", "b", "c", "ab", "bc", "abc", "<|end|>"};
  tables.merges = {"b c", "a b", "a bc"};
  EXPECT_THAT(steps_toward(tables, 5), UnorderedElementsAre("a", "b", "c", "bc", "abc"));
  tables.merges = {"a b", "b c", "ab c"};
  EXPECT_THAT(steps_toward(tables, 5), UnorderedElementsAre("a", "b", "c", "ab", "abc"));
  tables.merges = {"a b"};  // the rest of the way is not there: what merging meets, and the piece itself
  EXPECT_THAT(steps_toward(tables, 5), UnorderedElementsAre("a", "b", "c", "ab", "abc"));
}

TEST(CutTables, RenumberSpecialIdsAndDropMergesWithoutTheirPieces) {
  TokenizerTables tables;
  tables.model = "gpt2";
  tables.pieces = {"a", "b", "c", "ab", "bc", "abc", "<|end|>"};
  tables.types = {1, 1, 1, 1, 1, 1, 3};
  tables.merges = {"b c", "a b", "a bc"};
  tables.special_ids = {{"tokenizer.ggml.eos_token_id", 6}, {"tokenizer.ggml.bos_token_id", 6}};
  const std::vector<TokenId> kept = {TokenId{0}, TokenId{1}, TokenId{3}, TokenId{6}};
  const TokenizerTables cut = cut_tables(tables, kept);
  EXPECT_EQ(cut.pieces, (std::vector<std::string>{"a", "b", "ab", "<|end|>"}));
  EXPECT_EQ(cut.types, (std::vector<int>{1, 1, 1, 3}));
  EXPECT_EQ(cut.merges, std::vector<std::string>{"a b"});
  EXPECT_EQ(cut.special_ids.at(0).second, 3);
  EXPECT_EQ(cut.special_ids.at(1).second, 3);
  const std::vector<TokenId> letters = {TokenId{0}, TokenId{1}, TokenId{6}};
  EXPECT_THROW(cut_tables(tables, letters), Error);  // no merge left
  const std::vector<TokenId> endless = {TokenId{0}, TokenId{1}, TokenId{3}};
  EXPECT_THROW(cut_tables(tables, endless), Error);
}

/// libllama takes 11 for the end where a byte-level file names none: the piece has another number then.
TEST(CutTables, NameTheSpecialIdsThatLibllamaAssumes) {
  TokenizerTables tables;
  tables.model = "gpt2";
  for (int i = 0; i < 11; ++i) tables.pieces.push_back(std::string(1, static_cast<char>('a' + i)));
  tables.pieces.insert(tables.pieces.end(), {"<|end|>", "ab"});
  tables.types.assign(13, 1);
  tables.merges = {"a b"};
  const std::vector<TokenId> kept = {TokenId{0}, TokenId{1}, TokenId{11}, TokenId{12}};
  const TokenizerTables cut = cut_tables(tables, kept);
  const std::set<std::pair<std::string, long long>> ids(cut.special_ids.begin(), cut.special_ids.end());
  EXPECT_THAT(ids, UnorderedElementsAre(std::pair("tokenizer.ggml.bos_token_id", 2),
                                        std::pair("tokenizer.ggml.eos_token_id", 2)));
}

TEST(ChooseCut, KeepsSpecialTokensButNotTheSpareOnes) {
  TokenizerTables tables = testing::read_tables(testing::byte_level_fixture_path());
  tables.pieces.insert(tables.pieces.end(),
                       {"<unused7>", "<|image|>", "<|reserved_special_token_3|>", "[PAD9]"});
  tables.types.insert(tables.types.end(), {3, 3, 3, 4});
  const TemporaryFile file("-spare.gguf");
  testing::write_vocabulary(testing::byte_level_fixture_path(), tables, file.path());
  const auto vocabulary = Vocabulary::load(file.path().string(), tables);
  const std::vector<std::int64_t> counts(tables.pieces.size());
  const auto n = static_cast<int>(tables.pieces.size());
  const auto kept = choose_cut(tables, *vocabulary, counts, {.always = {TokenId{n - 2}}});
  const auto is_kept = [&](int id) { return std::binary_search(kept.begin(), kept.end(), TokenId{id}); };
  EXPECT_FALSE(is_kept(n - 4));
  EXPECT_TRUE(is_kept(n - 3));
  EXPECT_TRUE(is_kept(n - 2));  // asked for
  EXPECT_FALSE(is_kept(n - 1));
  EXPECT_TRUE(is_kept(0) && is_kept(1));
}

TEST(ChooseCut, SaysHowManyRowsItTakes) {
  const TokenizerTables tables = testing::read_tables(testing::fixture_path());
  const auto vocabulary = testing::load_vocabulary(testing::fixture_path());
  const auto counts = count_tokens(words_of({"Tom ist hier ."}), *vocabulary);
  try {
    choose_cut(tables, *vocabulary, counts, {.n_most = 100});
    FAIL() << "expected an error";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kInvalidArgument);
    const auto n_least = choose_cut(tables, *vocabulary, std::vector<std::int64_t>(counts.size()), {}).size();
    EXPECT_THAT(e.what(), HasSubstr("got 100"));
    EXPECT_THAT(e.what(), HasSubstr("expected at least "));
    EXPECT_GT(n_least, 256u);
  }
}

TEST(WordCounts, CountTheFirstWordOfATextApart) {
  WordCounts words;
  words.add("to be or not to be");
  words.add(" to  be ");
  words.add("");
  EXPECT_EQ(words.n_words(), 8);
  EXPECT_EQ(words.size(), 5u);  // "to" first; be, or, not, to
  std::int64_t n_first = 0, n_be = 0;
  words.for_each([&](std::string_view word, bool is_first, std::int64_t count) {
    if (is_first && word == "to") n_first = count;
    if (!is_first && word == "be") n_be = count;
  });
  EXPECT_EQ(n_first, 2);
  EXPECT_EQ(n_be, 3);
}

}  // namespace
}  // namespace tandem
