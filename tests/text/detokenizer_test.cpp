#include "text/detokenizer.h"

#include <gtest/gtest.h>

#include <random>

#include "text/byte_table.h"
#include "text/utf8.h"

namespace tandem {
namespace {

/// The text that comes out after each piece.
std::vector<std::string> detokenize(std::string_view written) {
  const std::vector<std::string> pieces = testing::unescape_pieces(written);
  Detokenizer detokenizer(pieces);
  std::vector<std::string> out;
  for (std::size_t i = 0; i < pieces.size(); ++i)
    out.push_back(detokenizer.accept(TokenId{static_cast<int>(i)}));
  return out;
}

using Texts = std::vector<std::string>;

TEST(Detokenizer, WritesPiecesAndDropsTheFirstMark) {
  EXPECT_EQ(detokenize("_Hel|lo|_world"), (Texts{"Hel", "lo", " world"}));
  EXPECT_EQ(detokenize("_|_|a|_|b"), (Texts{"", "", "a", " ", "b"}));
}

TEST(Detokenizer, HoldsACodePointUntilItIsWhole) {
  EXPECT_EQ(detokenize("\\xF0|\\x9F|\\x99|\\x82|!"), (Texts{"", "", "", "🙂", "!"}));
  EXPECT_EQ(detokenize("a\\xE4|\\xBD\\xA0\\xE5|\\xA5\\xBD"), (Texts{"a", "你", "好"}));
}

TEST(Detokenizer, SkipsWhatCanNeverBecomeWhole) {
  EXPECT_EQ(detokenize("a|\\xE4\\xBD|b"), (Texts{"a", "", "b"}));
  EXPECT_EQ(detokenize("a|\\x80|\\xFF|b"), (Texts{"a", "", "", "b"}));
  EXPECT_EQ(detokenize("\\xE4|\\xC3|\\x84"), (Texts{"", "", "Ä"}));
  EXPECT_EQ(detokenize("\\xC0\\xAF|\\xED\\xA0|\\x80x"), (Texts{"", "", "x"}));
}

TEST(Detokenizer, FinishDropsTheUnfinishedAndOpensANewText) {
  const std::vector<std::string> pieces = {"a\xE4", "\xBD\xA0", " b"};
  Detokenizer detokenizer(pieces);
  EXPECT_EQ(detokenizer.accept(TokenId{0}), "a");
  detokenizer.finish();
  EXPECT_EQ(detokenizer.accept(TokenId{1}), "");  // does not join the byte from before
  EXPECT_EQ(detokenizer.accept(TokenId{2}), "b");
}

TEST(Detokenizer, AnyCutOfAnyTextComesBackWhole) {
  const unsigned seed = 20260117;
  std::mt19937 random(seed);
  const std::string text = "Äpfel, 你好世界 🙂👩‍🔬 – ½ µ!";
  for (int round = 0; round < 500; ++round) {
    std::vector<std::string> pieces(1);
    for (const char c : text) {
      if (random() % 3 == 0) pieces.emplace_back();
      pieces.back() += c;
    }
    Detokenizer detokenizer(pieces);
    std::string out;
    for (std::size_t i = 0; i < pieces.size(); ++i) {
      const std::string part = detokenizer.accept(TokenId{static_cast<int>(i)});
      ASSERT_FALSE(find_invalid_utf8(part).has_value()) << "seed " << seed << " round " << round;
      out += part;
    }
    ASSERT_EQ(out, text) << "seed " << seed << " round " << round;
  }
}

}  // namespace
}  // namespace tandem
