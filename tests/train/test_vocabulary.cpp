// A vocabulary that sentencepiece trained must mean the same to libllama: it is what the engine will read.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sentencepiece_processor.h>

#include <algorithm>
#include <random>

#include "tandem/error.h"
#include "train/train_support.h"

namespace tandem {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::small_vocabulary;

std::vector<int> ids_of_sentencepiece(const std::string& text) {
  static const auto model = [] {
    auto loaded = std::make_unique<sentencepiece::SentencePieceProcessor>();
    if (!loaded->LoadFromSerializedProto(small_vocabulary().serialised).ok())
      throw std::runtime_error("no model");
    return loaded;
  }();
  std::vector<int> ids;
  if (!model->Encode(text, &ids).ok()) throw std::runtime_error("sentencepiece cannot encode");
  return ids;
}

std::vector<int> ids_of_libllama(const std::string& text) {
  std::vector<int> ids;
  for (const TokenId token : small_vocabulary().vocabulary->tokenize(text)) ids.push_back(to_int(token));
  return ids;
}

TEST(TrainedVocabulary, LibllamaTokenisesRealSentencesAsSentencepieceDoes) {
  const std::vector<std::string> sentences = testing::golden_sentences();
  ASSERT_GT(sentences.size(), 300U);
  for (const std::string& sentence : sentences) {
    EXPECT_EQ(ids_of_libllama(sentence), ids_of_sentencepiece(sentence)) << sentence;
  }
}

TEST(TrainedVocabulary, LibllamaTokenisesHostileTextAsSentencepieceDoes) {
  const std::vector<std::string> parts = {" ", "  ",  "▁",    "a",         "ß",    "é",    "1984", "...",
                                          "😀", "中",  "文字", "de",        "<de>", "</",   "\t",   "\xC2\xA0",
                                          "ü", "the", "s>",   "e\xCC\x81", "ﬁ",    "x0A>", "Haus"};
  std::mt19937 random(7);
  for (int i = 0; i < 500; ++i) {
    std::string text;
    for (std::size_t n = random() % 12; n > 0; --n) text += parts[random() % parts.size()];
    EXPECT_EQ(ids_of_libllama(text), ids_of_sentencepiece(text))
        << "seed 7, text " << i << ": \"" << text << "\"";
  }
}

TEST(TrainedVocabulary, WordsOneByOneGiveTheTokensOfTheWhole) {
  const Vocabulary& vocabulary = *small_vocabulary().vocabulary;
  const std::string text = "Ein Mann, der 1984 geboren wurde, liest « Le Monde » 😀 .";
  std::vector<TokenId> tokens;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find(' ', begin), text.size());
    const auto word = vocabulary.tokenize_word(text.substr(begin, end - begin), begin == 0);
    tokens.insert(tokens.end(), word.begin(), word.end());
    begin = end + 1;
  }
  EXPECT_EQ(tokens, vocabulary.tokenize(text));
}

TEST(TrainedVocabulary, ControlTokensOfTheTemplateAreOnePieceEach) {
  const Vocabulary& vocabulary = *small_vocabulary().vocabulary;
  const Prompt prompt = tokenize_prompt(testing::small_prompt(), "fr", vocabulary);
  ASSERT_EQ(prompt.target_prefix.size(), 1U);
  ASSERT_EQ(prompt.source_prefix.size(), 1U);
  EXPECT_EQ(small_vocabulary().tables.pieces[static_cast<std::size_t>(to_int(prompt.target_prefix[0]))],
            "<fr>");
  EXPECT_TRUE(vocabulary.piece(prompt.target_prefix[0]).is_masked);
  EXPECT_EQ(to_int(prompt.source_prefix[0]), 1);
  ASSERT_EQ(prompt.end.size(), 1U);
  EXPECT_EQ(to_int(prompt.end[0]), 2);
  EXPECT_TRUE(vocabulary.piece(prompt.end[0]).is_end);
  EXPECT_GT(vocabulary.tokenize("<fr>").size(), 1U);  // in plain text it is only text
}

TEST(TrainedVocabulary, TablesCarryLlamaTypesAndIds) {
  const TokenizerTables& tables = small_vocabulary().tables;
  EXPECT_EQ(tables.pieces.size(), 1500U);
  EXPECT_EQ(tables.scores.size(), 1500U);
  EXPECT_EQ(tables.types[0], 2);
  EXPECT_EQ(tables.types[1], 3);
  EXPECT_EQ(tables.pieces[3], "<de>");
  EXPECT_EQ(tables.types[3], 3);
  EXPECT_EQ(std::count(tables.types.begin(), tables.types.end(), 6), 256);
  EXPECT_EQ(tables.types.back(), 1);
  EXPECT_NO_THROW(check_tokenizer_tables(tables, "trained"));
}

TEST(TrainedVocabulary, SameTextGivesSameModel) {
  const std::vector<std::string> sentences = testing::golden_sentences();
  const VocabularyOptions options = {1500, 0.98, control_tokens_of(testing::small_prompt())};
  EXPECT_EQ(train_sentencepiece(sentences, options), small_vocabulary().serialised);
}

TEST(TrainedVocabulary, TooLittleTextIsAnErrorWithTheReason) {
  const std::vector<std::string> sentences = {"one two", "three"};
  try {
    train_sentencepiece(sentences, {8000, 1.0, {}});
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("expected at most 286 pieces for this text (2 sentences), got 8000"));
  }
}

TEST(TrainedVocabulary, ReasonComesBackFromTheProgram) {
  const testing::TemporaryFolder folder;
  const std::vector<std::string> sentences = {"one two", "three"};
  try {
    train_vocabulary(folder.file("v.gguf"), sentences, {8000, 1.0, {}});
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("for this text (2 sentences), got 8000"));
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(ControlTokens, AreTheBracketedNamesOfTheTemplate) {
  const PromptTemplate prompt = {
      "<s>read: ", "<eos> <", {{"de", "<to><de>"}, {"fr", "<to><fr> a<b c>"}}, "<end>"};
  EXPECT_THAT(control_tokens_of(prompt), ElementsAre("<eos>", "<to>", "<de>", "<fr>", "<end>"));
}

/// A run on plain files made of the golden sentences, each its own translation.
TrainConfig plain_config(const testing::TemporaryFolder& folder) {
  std::string text;
  for (const std::string& sentence : testing::golden_sentences()) text += sentence + "\n";
  TrainConfig config;
  config.target_languages = {"de", "fr"};
  config.train = {{.source = folder.write("a.en", text),
                   .target = folder.write("a.de", text),
                   .language = "de",
                   .set = "a"}};
  config.prompt = testing::small_prompt();
  config.vocabulary_size = 1000;
  config.character_coverage = 0.98;
  return config;
}

TEST(SampleSentences, AreDrawnBySeedInOrderAndNeverTwice) {
  const testing::TemporaryFolder folder;
  TrainConfig config = plain_config(folder);
  const std::vector<std::string> all = sample_sentences(config);
  EXPECT_EQ(all.size(), 2 * testing::golden_sentences().size());
  config.vocabulary_sentences = 100;
  const std::vector<std::string> some = sample_sentences(config);
  EXPECT_EQ(some.size(), 100U);
  EXPECT_EQ(some, sample_sentences(config));
  config.seed = 2;
  const std::vector<std::string> others = sample_sentences(config);
  EXPECT_NE(some, others);
  // A subsequence of all, and not just its front.
  std::size_t at = 0;
  for (const std::string& sentence : others) {
    while (at < all.size() && all[at] != sentence) ++at;
    ASSERT_LT(at, all.size());
    ++at;
  }
  EXPECT_GT(at, all.size() / 2);
}

TEST(RunVocabulary, IsTrainedOnceAndThenReadBack) {
  const testing::TemporaryFolder folder;
  TrainConfig config = plain_config(folder);
  const std::string path = folder.file("vocabulary.gguf");
  const RunVocabulary first = open_run_vocabulary(config, path);
  EXPECT_EQ(first.vocabulary->size(), 1000);
  // Other text now: the file decides.
  config.train[0].source = folder.write("b.en", "nothing\n");
  config.train[0].target = folder.write("b.de", "nichts\n");
  const RunVocabulary second = open_run_vocabulary(config, path);
  EXPECT_EQ(second.tables.pieces, first.tables.pieces);
  EXPECT_EQ(second.tables.scores, first.tables.scores);
  EXPECT_EQ(second.tables.types, first.tables.types);
  EXPECT_EQ(second.tables.special_ids, first.tables.special_ids);
}

TEST(RunVocabulary, RefusesAFileThatIsNotTheRunsVocabulary) {
  const testing::TemporaryFolder folder;
  TrainConfig config = plain_config(folder);
  const std::string path = folder.file("vocabulary.gguf");
  export_vocabulary(path, small_vocabulary().tables);
  EXPECT_THROW(open_run_vocabulary(config, path), Error);  // 1500 pieces where 1000 are asked for
  config.vocabulary_size = 1500;
  EXPECT_NO_THROW(open_run_vocabulary(config, path));
  config.prompt.end = "<end>";
  EXPECT_THROW(open_run_vocabulary(config, path), Error);
}

}  // namespace
}  // namespace tandem
