// What is read from disk is what is trained on: every token in its word, every bad line counted and named.
#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "tandem/error.h"
#include "text/utf8.h"
#include "text/word_tracker.h"
#include "train/corpus.h"
#include "train/train_support.h"

namespace tandem {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::small_vocabulary;
using testing::TemporaryFolder;

TrainConfig config_for(std::vector<DataFile> files) {
  TrainConfig config;
  config.target_languages = {"de", "fr"};
  config.train = std::move(files);
  return config;
}

DataFile tsv(const std::string& path) {
  DataFile data;
  data.tsv = path;
  return data;
}

Corpus read(const TrainConfig& config) {
  return read_corpus(config, config.train, *small_vocabulary().vocabulary);
}

template <class Call>
std::string error_of(Call&& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

constexpr std::string_view kTriple =
    "set\tsource\tde\tit\tfr\n"
    "a\tTwo  men walk.\tZwei Männer gehen.\tDue\tDeux hommes marchent.\n"
    "b\tOne\tEins\t\t\n"
    "a\tNo target here\t\tNiente\t\n"
    "a\t\tEins\t\tUn\n"
    "b\tTwo\t \t\tDeux\r\n";

TEST(Corpus, TripleFeedsBothTargetsAndEmptyCellsFeedNone) {
  const TemporaryFolder folder;
  const Corpus corpus = read(config_for({tsv(folder.write("t.tsv", kTriple))}));
  ASSERT_EQ(corpus.size(), 3U);
  EXPECT_THAT(corpus.sets(), ElementsAre("a", "b"));
  EXPECT_EQ(corpus.text_report().n_lines, 5);
  EXPECT_EQ(corpus.text_report().n_empty, 2);
  EXPECT_EQ(corpus.n_targets(), 4U);

  const Vocabulary& vocabulary = *small_vocabulary().vocabulary;
  const Example triple = corpus.example(0);
  EXPECT_EQ(triple.set, 0);
  EXPECT_EQ(triple.source_tokens, vocabulary.tokenize("Two men walk."));  // two spaces are one boundary
  EXPECT_EQ(triple.source_word_rows.size(), 3U);
  ASSERT_EQ(triple.targets.size(), 2U);
  EXPECT_EQ(triple.targets[0].language, 0);
  EXPECT_EQ(triple.targets[0].tokens, vocabulary.tokenize("Zwei Männer gehen."));
  EXPECT_EQ(triple.targets[0].n_words, 3);
  EXPECT_EQ(triple.targets[1].language, 1);
  EXPECT_EQ(triple.targets[1].tokens, vocabulary.tokenize("Deux hommes marchent."));

  EXPECT_EQ(corpus.example(1).set, 1);
  EXPECT_EQ(corpus.example(1).targets.at(0).language, 0);
  EXPECT_EQ(corpus.example(2).targets.at(0).language, 1);
  EXPECT_EQ(corpus.example(2).targets.at(0).tokens, vocabulary.tokenize("Deux"));  // no carriage return
  EXPECT_EQ(corpus.n_rows(0), static_cast<int>(triple.source_tokens.size() + triple.targets[0].tokens.size() +
                                               triple.targets[1].tokens.size()));
}

TEST(Corpus, TokensAndWordsOfRealTextAreThoseOfTheWholeText) {
  const TemporaryFolder folder;
  const std::vector<std::string> sentences = testing::golden_sentences();
  const std::string text = fmt::format("{}\n", fmt::join(sentences, "\n"));
  TrainConfig config = config_for({{.source = folder.write("a.en", text),
                                    .target = folder.write("a.de", text),
                                    .language = "de",
                                    .set = "a"}});
  config.max_rows = 30000;
  const Corpus corpus = read(config);
  ASSERT_EQ(corpus.size(), sentences.size());
  const Vocabulary& vocabulary = *small_vocabulary().vocabulary;
  for (std::size_t i = 0; i < sentences.size(); ++i) {
    const auto words = split_words(sentences[i]);
    const std::string joined = fmt::format("{}", fmt::join(words, " "));
    const Example example = corpus.example(i);
    const TargetText& target = example.targets.at(0);
    EXPECT_EQ(example.source_tokens, vocabulary.tokenize(joined));
    EXPECT_EQ(target.tokens, vocabulary.tokenize(joined));
    EXPECT_EQ(example.source_word_rows.size(), words.size());
    EXPECT_EQ(std::accumulate(example.source_word_rows.begin(), example.source_word_rows.end(), 0),
              static_cast<int>(example.source_tokens.size()));
    EXPECT_EQ(target.n_words, static_cast<int>(words.size()));
    // Source and target are the same text here, so their words must be cut alike.
    std::vector<int> rows_of_word(words.size());
    for (const int word : target.word_of_token) ++rows_of_word.at(static_cast<std::size_t>(word));
    EXPECT_EQ(rows_of_word, example.source_word_rows) << joined;
  }
}

TEST(Corpus, LanguagesWithoutSpacesAreReadByCharacter) {
  const TemporaryFolder folder;
  TrainConfig config = config_for({{.source = folder.write("a.zh", "你好 吗\n"),
                                    .target = folder.write("a.ja", "東京です\n"),
                                    .language = "ja",
                                    .set = "a"}});
  config.source_language = "zh";
  config.target_languages = {"ja"};
  const Example example = read(config).example(0);
  EXPECT_EQ(example.source_word_rows.size(), 3U);
  EXPECT_EQ(example.targets.at(0).n_words, 4);
  EXPECT_EQ(example.targets.at(0).tokens, small_vocabulary().vocabulary->tokenize("東京です"));
}

TEST(Corpus, LeavesOutTargetsThatAreTooLongAndCountsThem) {
  const TemporaryFolder folder;
  std::string long_text;
  for (int i = 0; i < 60; ++i) long_text += "word ";
  TrainConfig config =
      config_for({tsv(folder.write("t.tsv", "set\tsource\tde\tfr\na\tOne\t" + long_text + "\tUn\na\t" +
                                                long_text + "\tEins\tUn\na\tTwo\tZwei\tDeux\n"))});
  config.max_rows = 40;
  const Corpus corpus = read(config);
  EXPECT_EQ(corpus.n_too_long(), 3);
  ASSERT_EQ(corpus.size(), 2U);
  EXPECT_EQ(corpus.example(0).targets.size(), 1U);
  EXPECT_EQ(corpus.example(0).targets[0].language, 1);
  EXPECT_EQ(corpus.example(1).source_tokens, small_vocabulary().vocabulary->tokenize("Two"));
  EXPECT_EQ(corpus.example(1).targets.size(), 2U);

  config.max_rows = 2;
  EXPECT_THAT(error_of([&] { read(config); }), HasSubstr("expected at least one example, got 3 lines"));
}

TEST(ParallelText, UnequalLineCountsAreAnErrorWithBoth) {
  const TemporaryFolder folder;
  const std::string source = folder.write("a.en", "one\ntwo\nthree\n"),
                    target = folder.write("a.de", "eins\nzwei");
  const TrainConfig config = config_for({{.source = source, .target = target, .language = "de", .set = "a"}});
  EXPECT_THAT(error_of([&] { read(config); }),
              HasSubstr("expected as many lines in " + source + " as in " + target + ", got 3 and 2"));
}

TEST(ParallelText, FewInvalidLinesAreSkippedAndNamed) {
  const TemporaryFolder folder;
  std::string text = "set\tsource\tde\n";
  for (int i = 0; i < 300; ++i) text += "a\tone\teins\n";
  text += "a\tone \xFF\teins\n";
  text += "a\tone\n";
  const std::string path = folder.write("t.tsv", text);
  const Corpus corpus = read(config_for({tsv(path)}));
  EXPECT_EQ(corpus.size(), 300U);
  EXPECT_EQ(corpus.text_report().n_invalid, 2);
  EXPECT_THAT(corpus.text_report().problems,
              ElementsAre(path + ":302: invalid UTF-8 at byte 6", path + ":303: expected 3 columns, got 2"));
}

TEST(ParallelText, ManyInvalidLinesAreAnError) {
  const TemporaryFolder folder;
  const std::string path = folder.write("t.tsv", "set\tsource\tde\na\tone\teins\na\tone\t\xC3\n");
  EXPECT_THAT(
      error_of([&] { read(config_for({tsv(path)})); }),
      HasSubstr(path + ":3: invalid UTF-8 at byte 6 (and 0 more; expected at most 1 invalid line in 100"));
}

TEST(ParallelText, MissingFilesAndColumnsAreNamed) {
  const TemporaryFolder folder;
  EXPECT_THAT(error_of([&] { read(config_for({tsv(folder.file("none.tsv"))})); }),
              HasSubstr("none.tsv: expected a text file"));
  for (const char* text : {"", "one line\n", "set\tsource\tit\nx\ty\tz\n", "source\tde\nx\ty\n"}) {
    const std::string path = folder.write("t.tsv", text);
    EXPECT_THAT(error_of([&] { read(config_for({tsv(path)})); }),
                HasSubstr(path + ":1: expected tab-separated columns set, source and one of [de, fr]"));
  }
}

TEST(Corpus, WeightsAreBySetAndUnknownSetsAreRefused) {
  const TemporaryFolder folder;
  TrainConfig config = config_for({tsv(folder.write("t.tsv", kTriple))});
  const Corpus corpus = read(config);
  config.set_weights = {{"b", 2.5}};
  EXPECT_THAT(weights_by_set(corpus, config), ElementsAre(1.0, 2.5));
  config.set_weights = {{"c", 1.0}};
  EXPECT_THAT(error_of([&] { weights_by_set(corpus, config); }),
              HasSubstr("expected one of the sets [a, b], got \"c\""));
}

TEST(Corpus, TargetLanguageWithoutTextIsRefused) {
  const TemporaryFolder folder;
  TrainConfig config = config_for({tsv(folder.write("t.tsv", kTriple))});
  EXPECT_NO_THROW(check_every_language_has_text(read(config), config));
  config.target_languages = {"de", "fr", "es"};
  EXPECT_THAT(error_of([&] { check_every_language_has_text(read(config), config); }),
              HasSubstr("\"es\" has no text"));
}

}  // namespace
}  // namespace tandem
