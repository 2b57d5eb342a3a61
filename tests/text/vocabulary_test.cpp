#include "text/vocabulary.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "tandem/error.h"
#include "text/detokenizer.h"
#include "text/utf8.h"
#include "text/vocab_files.h"
#include "text/word_tracker.h"

namespace tandem {
namespace {

std::vector<int> to_ints(const std::vector<TokenId>& tokens) {
  std::vector<int> ids;
  for (const TokenId token : tokens) ids.push_back(to_int(token));
  return ids;
}

std::string join(const std::vector<std::string_view>& words) {
  std::string text;
  for (const std::string_view word : words) {
    if (!text.empty()) text += ' ';
    text += word;
  }
  return text;
}

std::string detokenize(const Vocabulary& vocabulary, const std::vector<TokenId>& tokens) {
  Detokenizer detokenizer(vocabulary);
  std::string text;
  for (const TokenId token : tokens) text += detokenizer.accept(token);
  return text;
}

/// Every vocabulary that there is: the fixtures, and llama.cpp's.
class EveryVocabulary : public ::testing::TestWithParam<std::filesystem::path> {
 protected:
  void SetUp() override { vocabulary_ = testing::load_vocabulary(GetParam()); }
  std::shared_ptr<const Vocabulary> vocabulary_;
};

TEST_P(EveryVocabulary, WordByWordEqualsTheWhole) {
  for (const std::string& sentence : testing::sentences()) {
    const std::vector<std::string_view> words = split_words(sentence);
    std::vector<TokenId> pieces;
    for (const std::string_view word : words) {
      const auto tokens = vocabulary_->tokenize_word(word, pieces.empty());
      pieces.insert(pieces.end(), tokens.begin(), tokens.end());
    }
    EXPECT_EQ(to_ints(pieces), to_ints(vocabulary_->tokenize(join(words)))) << sentence;
  }
}

/// Some byte-pair vocabularies have pieces that reach over a space (`"> <"`). Most tokenizers cut texts at
/// spaces before they merge, so that no text has such a piece; where a whole text has one (Gemma 4's), words
/// cannot, since a stream does not know the next word. Nothing else differs, and the text is the same.
TEST_P(EveryVocabulary, WordsDifferFromTheWholeWhereAPieceReachesOverASpaceAlone) {
  const auto reaches_over = [](std::string_view bytes) {
    const std::size_t first = bytes.find_first_not_of(' ');
    const std::size_t space = first == std::string_view::npos ? first : bytes.find(' ', first);
    return space != std::string_view::npos && bytes.find_first_not_of(' ', space) != std::string_view::npos;
  };
  int n_reaching = 0, n_used = 0;
  for (int id = 0; id < vocabulary_->size(); ++id) {
    if (!reaches_over(vocabulary_->bytes(TokenId{id})) || vocabulary_->piece(TokenId{id}).is_masked) continue;
    ++n_reaching;
    const std::string text = join(split_words(vocabulary_->bytes(TokenId{id})));
    std::vector<TokenId> pieces;
    for (const std::string_view word : split_words(text)) {
      const std::vector<TokenId> of_word = vocabulary_->tokenize_word(word, pieces.empty());
      pieces.insert(pieces.end(), of_word.begin(), of_word.end());
    }
    EXPECT_EQ(detokenize(*vocabulary_, pieces), text);
    const std::vector<TokenId> whole = vocabulary_->tokenize(text);
    const bool is_used = std::any_of(whole.begin(), whole.end(),
                                     [&](TokenId token) { return reaches_over(vocabulary_->bytes(token)); });
    n_used += is_used ? 1 : 0;
    EXPECT_EQ(pieces == whole, !is_used) << text;
  }
  RecordProperty("reaching", n_reaching);
  RecordProperty("used", n_used);
}

TEST_P(EveryVocabulary, TrackerFindsTheWordsThatWereTokenised) {
  for (const std::string& sentence : testing::sentences()) {
    WordTracker tracker(vocabulary_->pieces(), WordUnit::kSpaced);
    int word = 0;
    for (const std::string_view text : split_words(sentence)) {
      for (const TokenId token : vocabulary_->tokenize_word(text, word == 0)) {
        EXPECT_EQ(tracker.word_of_next(token), word) << sentence;
        tracker.accept(token);
      }
      ++word;
    }
  }
}

TEST_P(EveryVocabulary, TrackerCountsCodePoints) {
  for (const std::string& sentence : testing::sentences()) {
    const std::string text = join(split_words(sentence));
    WordTracker tracker(vocabulary_->pieces(), WordUnit::kCodePoint);
    for (const TokenId token : vocabulary_->tokenize(text)) tracker.accept(token);
    EXPECT_EQ(static_cast<std::size_t>(tracker.word()), count_code_points(text)) << text;
  }
}

TEST_P(EveryVocabulary, TextComesBack) {
  for (const std::string& sentence : testing::sentences()) {
    EXPECT_EQ(detokenize(*vocabulary_, vocabulary_->tokenize(sentence)), sentence);
  }
}

TEST_P(EveryVocabulary, PlainTextNeverGivesASpecialToken) {
  const std::vector<std::string> names = testing::read_tables(GetParam()).pieces;
  int n_special = 0;
  for (int id = 0; id < vocabulary_->size() && n_special < 200; ++id) {
    const PieceInfo& info = vocabulary_->piece(TokenId{id});
    if (!info.is_end && !info.is_masked) continue;
    ++n_special;
    const std::string text = fmt::format("x{0} {0}", names[static_cast<std::size_t>(id)]);
    for (const TokenId token : vocabulary_->tokenize(text)) {
      const PieceInfo& piece = vocabulary_->piece(token);
      ASSERT_FALSE(piece.is_end || piece.is_masked) << text << ": " << to_int(token);
    }
  }
  EXPECT_GT(n_special, 0);
}

TEST_P(EveryVocabulary, EndlessWordsEnd) {
  const std::string word(50'000, 'x');
  std::string text = detokenize(*vocabulary_, vocabulary_->tokenize_word(word, true));
  EXPECT_EQ(std::erase(text, ' '), 50'000 / kMaxWordCodePoints);  // cut into several words
  EXPECT_EQ(text, word);
}

std::string file_name(const ::testing::TestParamInfo<std::filesystem::path>& info) {
  std::string name = info.param.stem().string();
  for (char& c : name) c = std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
  return name;
}

INSTANTIATE_TEST_SUITE_P(Vocabulary, EveryVocabulary, ::testing::ValuesIn(testing::vocabulary_paths()),
                         file_name);

/// llama.cpp's own pairs of text and ids.
TEST(Vocabulary, GivesTheIdsOfTheTokenizersAuthors) {
  int n_pairs = 0;
  for (const std::filesystem::path& path : testing::vocabulary_paths()) {
    std::ifstream in(path.string() + ".inp", std::ios::binary);
    std::ifstream out(path.string() + ".out");
    if (!in || !out) continue;
    const std::string texts{std::istreambuf_iterator<char>(in), {}};
    const auto vocabulary = testing::load_vocabulary(path);
    constexpr std::string_view kSeparator = "\n__ggml_vocab_test__\n";
    std::size_t at = 0;
    for (std::string line; std::getline(out, line); ++n_pairs) {
      const std::size_t end = texts.find(kSeparator, at);
      const std::string text = texts.substr(at, end - at);
      std::istringstream numbers(line);
      const std::vector<int> expected{std::istream_iterator<int>(numbers), {}};
      EXPECT_EQ(to_ints(vocabulary->tokenize(text)), expected) << path << ": " << text;
      if (end == std::string::npos) break;
      at = end + kSeparator.size();
    }
  }
  if (n_pairs == 0) GTEST_SKIP() << "no vocabularies of llama.cpp here (see tests/text/README.md)";
}

TEST(Vocabulary, KnowsEachPieceOfTheFixture) {
  const auto vocabulary = testing::load_vocabulary(testing::fixture_path());
  const auto piece = [&](int id) { return vocabulary->piece(TokenId{id}); };
  EXPECT_TRUE(piece(0).is_masked);                      // <unk>
  EXPECT_TRUE(piece(1).is_masked);                      // <s>
  EXPECT_TRUE(piece(2).is_end && !piece(2).is_masked);  // </s>
  EXPECT_TRUE(piece(3).is_masked && !piece(3).is_end);  // <to:de>
  EXPECT_TRUE(piece(5).is_masked);                      // <spare>, unused
  EXPECT_TRUE(piece(6 + 0xE4).is_byte);
  EXPECT_FALSE(piece(6 + 'A').is_byte);  // whole UTF-8 by itself
  EXPECT_EQ(vocabulary->bytes(TokenId{6 + 'A'}), "A");
  EXPECT_EQ(vocabulary->bytes(TokenId{1}), "");
  EXPECT_TRUE(piece(6 + ' ').only_mark);
  for (int id = 0; id < vocabulary->size(); ++id) {
    const std::string_view bytes = vocabulary->bytes(TokenId{id});
    EXPECT_EQ(bytes.find("\u2581"), std::string_view::npos);  // the mark is written as a space
    EXPECT_EQ(piece(id).begins_word, bytes.starts_with(' '));
  }
}

TEST(Vocabulary, TemplatesRecogniseSpecialTokens) {
  const auto vocabulary = testing::load_vocabulary(testing::fixture_path());
  EXPECT_EQ(to_ints(vocabulary->tokenize_template("<s>")), (std::vector<int>{1}));
  EXPECT_EQ(to_ints(vocabulary->tokenize_template("<to:de></s>")), (std::vector<int>{3, 2}));
  EXPECT_GT(vocabulary->tokenize("<s>").size(), 1u);
}

TEST(Vocabulary, EmptyTextHasNoTokens) {
  const auto vocabulary = testing::load_vocabulary(testing::fixture_path());
  EXPECT_TRUE(vocabulary->tokenize("").empty());
  EXPECT_TRUE(vocabulary->tokenize_word("", true).empty());
  EXPECT_TRUE(vocabulary->tokenize_word("", false).empty());
}

TEST(Vocabulary, BrokenUtf8IsTokenisedOrRefusedButNeverFatal) {
  for (const std::filesystem::path& path : testing::vocabulary_paths()) {
    const auto vocabulary = testing::load_vocabulary(path);
    for (const std::string_view text : {"\xFF", "a\xE4", "\xE4\xBD b", "\xF0\x9F", "\xC0\x80"}) {
      try {
        (void)vocabulary->tokenize(text);
      } catch (const Error& e) {
        EXPECT_EQ(std::string(e.what()).find('\n'), std::string::npos);
      }
    }
  }
}

TEST(Vocabulary, FilesThatLibllamaRefusesAreOneError) {
  const TokenizerTables tables = testing::read_tables(testing::fixture_path());
  EXPECT_THROW(Vocabulary::load("/nonexistent.gguf", tables), Error);
  TokenizerTables other = tables;
  other.pieces.push_back("one more");
  other.types.push_back(1);
  other.scores.push_back(0);
  EXPECT_THROW(Vocabulary::load(testing::fixture_path().string(), other), Error);
}

}  // namespace
}  // namespace tandem
