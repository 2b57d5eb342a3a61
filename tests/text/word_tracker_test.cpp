#include "text/word_tracker.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "text/byte_table.h"

namespace tandem {
namespace {

using testing::describe_pieces;
using testing::split_on;
using testing::unescape_pieces;

struct Case {
  std::string name;
  WordUnit unit = WordUnit::kSpaced;
  std::vector<std::string> pieces;
  std::vector<int> words;
  int n_words = 0;
};

std::vector<Case> read_cases() {
  std::ifstream in(std::filesystem::path(TANDEM_TEST_DIR) / "text" / "word_boundaries.tsv");
  std::vector<Case> cases;
  for (std::string line; std::getline(in, line);) {
    if (line.empty() || line[0] == '#') continue;
    const std::vector<std::string> fields = split_on(line, '\t');
    if (fields.size() != 5) throw std::runtime_error("word_boundaries.tsv: expected 5 fields: " + line);
    Case c{fields[0] + " " + fields[2],
           fields[1] == "spaced" ? WordUnit::kSpaced : WordUnit::kCodePoint,
           unescape_pieces(fields[2]),
           {},
           std::stoi(fields[4])};
    std::istringstream words(fields[3]);
    for (int word = 0; words >> word;) c.words.push_back(word);
    cases.push_back(std::move(c));
  }
  return cases;
}

TEST(WordTracker, GivesTheWordsOfTheTable) {
  const std::vector<Case> cases = read_cases();
  ASSERT_GE(cases.size(), 30u);
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    ASSERT_EQ(c.pieces.size(), c.words.size());
    const std::vector<PieceInfo> infos = describe_pieces(c.pieces);
    WordTracker tracker(infos, c.unit);
    for (std::size_t i = 0; i < c.pieces.size(); ++i) {
      const TokenId id{static_cast<int>(i)};
      EXPECT_EQ(tracker.word_of_next(id), c.words[i]) << "piece " << i;
      tracker.accept(id);
      if (c.unit == WordUnit::kSpaced) {
        EXPECT_EQ(tracker.word(), c.words[i]) << "piece " << i;
      }
    }
    EXPECT_EQ(c.unit == WordUnit::kSpaced ? tracker.word() + 1 : tracker.word(), c.n_words);
  }
}

TEST(WordTracker, BoundaryIsClosedAtTheStartAndAfterMarks) {
  const auto infos = describe_pieces({"a", " ", " b"});
  WordTracker tracker(infos, WordUnit::kSpaced);
  EXPECT_EQ(tracker.word(), -1);
  EXPECT_FALSE(tracker.is_boundary_open());
  EXPECT_TRUE(tracker.would_begin_word(TokenId{0}));  // any piece opens word 0
  tracker.accept(TokenId{0});
  EXPECT_TRUE(tracker.is_boundary_open());
  EXPECT_FALSE(tracker.would_begin_word(TokenId{0}));
  EXPECT_TRUE(tracker.would_begin_word(TokenId{1}));
  tracker.accept(TokenId{1});
  EXPECT_FALSE(tracker.is_boundary_open());
  EXPECT_FALSE(tracker.would_begin_word(TokenId{2}));  // the mark before it has opened the word already
  tracker.accept(TokenId{2});
  EXPECT_TRUE(tracker.is_boundary_open());
  EXPECT_EQ(tracker.word(), 1);
}

TEST(WordTracker, UnitFollowsTheLanguage) {
  for (const char* code : {"zh", "zh-Hans", "ZH_tw", "ja", "th", "yue"}) {
    EXPECT_EQ(word_unit_of(code), WordUnit::kCodePoint) << code;
  }
  for (const char* code : {"de", "fr", "en-GB", "ko", "", "zha", "tha"}) {
    EXPECT_EQ(word_unit_of(code), WordUnit::kSpaced) << code;
  }
}

TEST(DescribeBytes, KnowsMarksBytesAndCodePoints) {
  const PieceInfo word = describe_bytes(" wörld");
  EXPECT_TRUE(word.begins_word);
  EXPECT_FALSE(word.only_mark);
  EXPECT_FALSE(word.is_byte);
  EXPECT_EQ(word.n_code_points, 6);

  EXPECT_TRUE(describe_bytes("  ").only_mark);
  EXPECT_FALSE(describe_bytes("").begins_word);
  EXPECT_FALSE(describe_bytes("a b").begins_word);
  EXPECT_FALSE(describe_bytes("\t").begins_word);

  const PieceInfo split = describe_bytes("\xBD\xA0 \xF0\x9F");
  EXPECT_TRUE(split.is_byte);
  EXPECT_EQ(split.n_joining_bytes, 2);
  EXPECT_EQ(split.n_code_points, 1);
  EXPECT_EQ(split.n_missing_bytes, 2);
}

}  // namespace
}  // namespace tandem
