// Wrapping by columns, not bytes, and nothing of the text can steer the terminal.
#include "cli/text_layout.h"

#include <gmock/gmock.h>

namespace tandem {
namespace {

using ::testing::ElementsAre;

TEST(TextLayout, ColumnsAreWhatATerminalShows) {
  EXPECT_EQ(columns_of("M\u00e4dchen"), 7);
  EXPECT_EQ(columns_of("e\u0301"), 1);       // a combining accent takes none
  EXPECT_EQ(columns_of("\u4f60\u597d"), 4);  // wide
  EXPECT_EQ(columns_of("a\x1b\xFF\tb"), 2);  // left out
}

TEST(TextLayout, BreaksBetweenWordsAndInsideLongOnes) {
  const auto wrap = [](const std::vector<StyledText>& words) { return lay_out(words, 6); };
  EXPECT_THAT(wrap({{"ab", ""}, {"cde", ""}, {"f", ""}}), ElementsAre("ab cde", "f"));
  EXPECT_THAT(wrap({{"ab", ""}, {"abcdefgh", ""}, {"i", ""}}), ElementsAre("ab", "abcdef", "gh i"));
  EXPECT_THAT(wrap({{"\u4f60\u597d\u5417", ""}, {"a", ""}}), ElementsAre("\u4f60\u597d\u5417", "a"));
  EXPECT_THAT(wrap({}), ElementsAre(""));
}

TEST(TextLayout, EveryLineClosesItsStyle) {
  const std::vector<StyledText> words = {{"abcdefgh", "\x1b[1m"}};
  EXPECT_THAT(lay_out(words, 6), ElementsAre("\x1b[1mabcdef\x1b[0m", "\x1b[1mgh\x1b[0m"));
}

TEST(TextLayout, ControlCharactersAreLeftOut) {
  const std::vector<StyledText> words = {{"a\x1b[2Jb\r\n", ""}};
  EXPECT_THAT(lay_out(words, 20), ElementsAre("a[2Jb"));
}

}  // namespace
}  // namespace tandem
