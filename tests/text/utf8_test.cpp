#include "text/utf8.h"

#include <gtest/gtest.h>

#include <string>

namespace tandem {
namespace {

std::string encode(char32_t c) {
  const auto tail = [&](int shift) { return static_cast<char>(0x80 | ((c >> shift) & 0x3F)); };
  if (c < 0x80) return {static_cast<char>(c)};
  if (c < 0x800) return {static_cast<char>(0xC0 | (c >> 6)), tail(0)};
  if (c < 0x10000) return {static_cast<char>(0xE0 | (c >> 12)), tail(6), tail(0)};
  return {static_cast<char>(0xF0 | (c >> 18)), tail(12), tail(6), tail(0)};
}

TEST(Utf8, EveryCodePointIsWholeAndEveryPrefixUnfinished) {
  for (char32_t c = 0; c <= 0x10FFFF; ++c) {
    if (c >= 0xD800 && c <= 0xDFFF) continue;
    const std::string bytes = encode(c);
    const Utf8Step step = next_utf8(bytes);
    ASSERT_EQ(step.status, Utf8Status::kWhole) << static_cast<unsigned>(c);
    ASSERT_EQ(step.code_point, c);
    ASSERT_EQ(step.n_bytes, bytes.size());
    for (std::size_t n = 1; n < bytes.size(); ++n) {
      const Utf8Step cut = next_utf8(std::string_view(bytes).substr(0, n));
      ASSERT_EQ(cut.status, Utf8Status::kUnfinished) << static_cast<unsigned>(c);
      ASSERT_EQ(cut.n_bytes, n);
    }
  }
}

TEST(Utf8, NamesTheFirstBadByte) {
  const auto at = [](std::string_view text) { return find_invalid_utf8(text).value_or(std::string::npos); };
  EXPECT_EQ(at("Äpfel 🙂"), std::string::npos);
  EXPECT_EQ(at(std::string_view("a\0b", 3)), std::string::npos);
  EXPECT_EQ(at("ab\x80"), 2u);            // a continuation alone
  EXPECT_EQ(at("\xC0\xAF"), 0u);          // overlong
  EXPECT_EQ(at("a\xE0\x9F\x80"), 1u);     // overlong
  EXPECT_EQ(at("ab\xED\xA0\x80"), 2u);    // a surrogate
  EXPECT_EQ(at("\xF4\x90\x80\x80"), 0u);  // beyond U+10FFFF
  EXPECT_EQ(at("\xF5"), 0u);
  EXPECT_EQ(at("ok \xE4\xBD"), 3u);  // cut off
  EXPECT_EQ(at("\xE4\xBD"
               "a"),
            0u);
}

TEST(Utf8, InvalidStepSkipsOnlyWhatCannotBegin) {
  // The byte that broke the code point may open the next one.
  EXPECT_EQ(next_utf8("\xE4\xBD"
                      "a")
                .n_bytes,
            2u);
  EXPECT_EQ(next_utf8("\xE4\xC3\x84").n_bytes, 1u);
  EXPECT_EQ(count_code_points("\xE4\xC3\x84z"), 2u);
}

TEST(SplitWords, SplitsAtUnicodeWhiteSpaceAndControls) {
  using Words = std::vector<std::string_view>;
  EXPECT_EQ(split_words(""), Words{});
  EXPECT_EQ(split_words(" \t\n"), Words{});
  EXPECT_EQ(split_words("  a  b "), (Words{"a", "b"}));
  EXPECT_EQ(split_words("a\u00A0b\u2003c\u3000d\u2028e\u0085f"), (Words{"a", "b", "c", "d", "e", "f"}));
  EXPECT_EQ(split_words(std::string_view("a\0b\x1F"
                                         "c",
                                         5)),
            (Words{"a", "b", "c"}));
  EXPECT_EQ(split_words("zero\u200Bwidth"), (Words{"zero\u200Bwidth"}));
}

TEST(SplitWords, CutsEndlessWords) {
  std::string text;
  for (int i = 0; i < 600; ++i) text += "ä";
  text += " b";
  const auto words = split_words(text);
  ASSERT_EQ(words.size(), 4u);
  EXPECT_EQ(count_code_points(words[0]), kMaxWordCodePoints);
  EXPECT_EQ(count_code_points(words[2]), 600 - 2 * kMaxWordCodePoints);
  EXPECT_EQ(words[3], "b");
}

}  // namespace
}  // namespace tandem
