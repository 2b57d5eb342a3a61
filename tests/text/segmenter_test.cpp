#include "text/segmenter.h"

#include <gtest/gtest.h>

#include <random>

#include "text/byte_table.h"

namespace tandem {
namespace {

using Units = std::vector<SourceUnit>;

void append(Units& to, Units from) {
  to.insert(to.end(), from.begin(), from.end());
}

Units segment(std::string_view text, WordUnit unit) {
  Segmenter segmenter(unit);
  Units units = segmenter.push(text);
  append(units, segmenter.finish());
  return units;
}

/// "a b.* c": words, with '*' after those that end a sentence.
std::string show(const Units& units) {
  std::string out;
  for (const SourceUnit& unit : units)
    out += (out.empty() ? "" : " ") + unit.text + (unit.is_last ? "*" : "");
  return out;
}

TEST(Segmenter, AWordIsCompleteAtWhiteSpaceOrFinish) {
  Segmenter segmenter(WordUnit::kSpaced);
  EXPECT_EQ(show(segmenter.push("Hel")), "");
  EXPECT_EQ(show(segmenter.push("lo wor")), "Hello");
  EXPECT_EQ(show(segmenter.push("ld.")), "");
  EXPECT_EQ(show(segmenter.push(" ")), "world.*");
  EXPECT_EQ(show(segmenter.push("and")), "");
  EXPECT_EQ(show(segmenter.finish()), "and");
  EXPECT_EQ(show(segmenter.finish()), "");
  EXPECT_EQ(show(segmenter.push("next ")), "next");
}

TEST(Segmenter, FinalPunctuationMakesAWordLast) {
  for (const char* word :
       {"end.",  "end!",   "end?",   "end…",  "end...", "end?!", "end.\"", "end.)",  "end.”",  "ende.“",
        "fin.»", "Ende.«", "(end.)", "1984.", "3.5.",   ".",     "终。",   "终。」", "نهاية؟", "अंत।"}) {
    EXPECT_TRUE(ends_sentence(word)) << word;
  }
  for (const char* word :
       {"end",  "end,", "end;", "end:", "Mr.", "Dr.", "(Mr.", "e.g.", "(e.g.", "z.B.", "J.",
        "U.S.", "3.",   "12.",  "vs.",  "mr.", "\"",  ")",    "3.5",  "a.b",   "",     "bzw."}) {
    EXPECT_FALSE(ends_sentence(word)) << word;
  }
}

TEST(Segmenter, CodePointsEndASentenceAtItsLastMark) {
  const auto run = [](std::string_view text) { return show(segment(text, WordUnit::kCodePoint)); };
  EXPECT_EQ(run("你好。世界"), "你 好 。* 世 界");
  EXPECT_EQ(run("「好。」他说"), "「 好 。 」* 他 说");
  EXPECT_EQ(run("好！？ 再"), "好 ！ ？* 再");
  EXPECT_EQ(run("3.5元。"), "3 . 5 元 。*");
  EXPECT_EQ(run("ok. 好"), "o k .* 好");
  EXPECT_EQ(run("什么……好"), "什 么 … …* 好");
  EXPECT_EQ(run("好。"), "好 。*");
}

TEST(Segmenter, ControlsAreWhiteSpaceAndBrokenBytesAreSkippedAndCounted) {
  Segmenter segmenter(WordUnit::kSpaced);
  Units units =
      segmenter.push(std::string_view("a\0b\x01"
                                      "c\xFF"
                                      "d \xE4\xBD",
                                      10));
  append(units, segmenter.finish());
  EXPECT_EQ(show(units), "a b cd");
  EXPECT_EQ(segmenter.n_skipped_bytes(), 3u);
}

TEST(Segmenter, AnEndlessWordIsCut) {
  const std::string text(50'000, 'x');
  const Units units = segment(text, WordUnit::kSpaced);
  ASSERT_EQ(units.size(), (text.size() + kMaxWordCodePoints - 1) / kMaxWordCodePoints);
  std::string joined;
  for (const SourceUnit& unit : units) {
    EXPECT_LE(unit.text.size(), kMaxWordCodePoints);
    joined += unit.text;
  }
  EXPECT_EQ(joined, text);
}

std::string random_text(std::mt19937& random) {
  static const std::vector<std::string> kParts = {
      "a",  "Word", " ",    " ",    "  ", "\n", "\u3000", ".", "...", "!",     "。",
      "」", "\"",   "Mr.",  "3.",   "你", "好", "🙂",   "ä", "“",   "«",     "\t",
      "é",  "\xE4", "\xBD", "\xFF", "J.", ")",  "?",      ",", "…",   "\u200D"};
  std::string text;
  const auto n = random() % 60;
  for (std::size_t i = 0; i < n; ++i) text += kParts[random() % kParts.size()];
  if (random() % 20 == 0) text += std::string(600, 'y');
  if (random() % 10 == 0) text += '\0';
  return text;
}

TEST(Segmenter, AnyChunkingGivesTheSameEvents) {
  const unsigned seed = 7919;
  std::mt19937 random(seed);
  for (int round = 0; round < 3000; ++round) {
    const std::string text = random_text(random);
    for (const WordUnit unit : {WordUnit::kSpaced, WordUnit::kCodePoint}) {
      const Units whole = segment(text, unit);
      Segmenter segmenter(unit);
      Units pieces;
      for (std::size_t at = 0; at < text.size();) {
        const std::size_t n = random() % 5;  // empty chunks too
        append(pieces, segmenter.push(std::string_view(text).substr(at, n)));
        at += n;
      }
      append(pieces, segmenter.finish());
      ASSERT_EQ(show(pieces), show(whole)) << "seed " << seed << " round " << round;
    }
  }
}

TEST(Segmenter, SplitUnitsGivesTheSameUnits) {
  const unsigned seed = 104729;
  std::mt19937 random(seed);
  int n_checked = 0;
  for (int round = 0; round < 3000; ++round) {
    const std::string text = random_text(random);
    if (find_invalid_utf8(text).has_value()) continue;
    ++n_checked;
    for (const WordUnit unit : {WordUnit::kSpaced, WordUnit::kCodePoint}) {
      std::vector<std::string> texts;
      for (const SourceUnit& part : segment(text, unit)) texts.push_back(part.text);
      const std::vector<std::string_view> views = split_units(text, unit);
      ASSERT_EQ(texts, std::vector<std::string>(views.begin(), views.end()))
          << "seed " << seed << " round " << round;
    }
  }
  EXPECT_GT(n_checked, 100);
}

}  // namespace
}  // namespace tandem
