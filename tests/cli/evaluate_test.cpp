// `tandem evaluate`, `inspect` and `quantize` on a small random model.
#include "eval/evaluate.h"

#include <gmock/gmock.h>

#include <boost/json.hpp>

#include "cli/program.h"
#include "eval/instance_log.h"

namespace tandem::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class EvaluateTest : public ::testing::Test {
 protected:
  EvaluateTest() {
    write_bytes(folder_.file("source"), "A man sees a dog.\n\nTwo words\n");
    write_bytes(folder_.file("reference"), "Ein Mann sieht einen Hund.\nnichts\nZwei Worte\n");
  }

  Outcome evaluate(const std::string& arguments, const std::string& reference = "reference") const {
    return run_tandem("evaluate --threads 1 --model " + tiny_model() + " --to de --source " +
                      folder_.file("source") + " --reference " + folder_.file(reference) + " " + arguments);
  }

  TemporaryFolder folder_;
};

TEST_F(EvaluateTest, JsonHasExactlyTheKeysOfTheContract) {
  const Outcome outcome = evaluate("--k 2,inf --json");
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const auto lines = lines_of(outcome.out);
  ASSERT_EQ(lines.size(), 2u);
  std::vector<boost::json::object> rows;
  for (const std::string& line : lines) {
    rows.push_back(boost::json::parse(line).as_object());
    std::vector<std::string> keys;
    for (const auto& entry : rows.back()) keys.emplace_back(entry.key());
    EXPECT_THAT(keys, ElementsAre("model", "to", "policy", "k", "sentences", "bleu", "al", "laal",
                                  "length_ratio", "passes_per_token", "rows_twice", "words_per_second"));
    EXPECT_EQ(rows.back().at("sentences").as_int64(), 3);
    EXPECT_EQ(rows.back().at("rows_twice").as_int64(), 0);
    EXPECT_GE(rows.back().at("passes_per_token").to_number<double>(), 0.9);
    EXPECT_GT(rows.back().at("words_per_second").to_number<double>(), 0);
    EXPECT_GT(rows.back().at("length_ratio").to_number<double>(), 0);
  }
  EXPECT_EQ(rows[0].at("k").as_int64(), 2);
  EXPECT_EQ(rows[1].at("k").as_string(), "inf");
  EXPECT_LE(rows[0].at("al").to_number<double>(), rows[1].at("al").to_number<double>());
}

TEST_F(EvaluateTest, FolderIsWhatSimulEvalReads) {
  ASSERT_EQ(evaluate("--k 2 --output " + folder_.file("out")).status, 0);
  const auto instances = read_instances_log(folder_.file("out/k2/instances.log"));
  ASSERT_EQ(instances.size(), 3u);
  const Outcome plain = run_tandem("translate --threads 1 --k 2 --to de --model " + tiny_model(),
                                   read_bytes(folder_.file("source")));
  EXPECT_EQ(lines_of(plain.out)[0].substr(0, 12), instances[0].prediction.substr(0, 12));
  EXPECT_EQ(instances[0].reference, "Ein Mann sieht einen Hund.\n");
  EXPECT_EQ(std::get<std::string>(instances[0].source), "A man sees a dog.");
  EXPECT_EQ(instances[0].source_length, 5);
  EXPECT_GE(instances[0].delays.front(), 2);
  EXPECT_LE(instances[0].delays.back(), 5);
  EXPECT_EQ(instances[1].prediction, "");
  EXPECT_THAT(read_bytes(folder_.file("out/k2/scores.tsv")), HasSubstr("BLEU\tLAAL\tAL"));
  EXPECT_THAT(read_bytes(folder_.file("out/k2/config.yaml")), HasSubstr("source_type: text"));
  EXPECT_THAT(read_bytes(folder_.file("out/results.csv")), HasSubstr("model,to,policy,k,sentences,bleu"));
}

TEST_F(EvaluateTest, UnequalLineCountsAreAnErrorBeforeAnyWork) {
  write_bytes(folder_.file("short"), "Ein Mann.\n");
  const Outcome outcome = evaluate("--json --output " + folder_.file("out"), "short");
  EXPECT_EQ(outcome.status, 1);
  EXPECT_EQ(outcome.out, "");
  EXPECT_THAT(outcome.err, HasSubstr("got 3 in "));
  EXPECT_THAT(outcome.err, HasSubstr("and 1 in "));
}

TEST_F(EvaluateTest, FailedLineCountsAsEmptyAndFailsTheRun) {
  std::string long_line;
  for (int i = 0; i < 3000; ++i) long_line += "word ";
  write_bytes(folder_.file("source"), "A man sees a dog.\n" + long_line + "\nTwo words\n");
  const Outcome outcome = evaluate("--k 1 --json --output " + folder_.file("out"));
  EXPECT_EQ(outcome.status, 1);
  EXPECT_EQ(lines_of(outcome.out).size(), 1u);
  EXPECT_THAT(outcome.err, HasSubstr("source:2: "));
  const auto instances = read_instances_log(folder_.file("out/k1/instances.log"));
  ASSERT_EQ(instances.size(), 3u);
  EXPECT_EQ(instances[1].prediction, "");
  EXPECT_NE(instances[2].prediction, "");
}

TEST_F(EvaluateTest, SessionsThatSharePassesGiveEachLineItsOwnTranslation) {
  std::string sources, references;
  for (int i = 1; i <= 12; ++i) {
    sources +=
        std::string(i % 5 == 0 ? "" : "The dog number " + std::to_string(i * 37) + " sees a man.") + "\n";
    references += "Der Hund.\n";
  }
  write_bytes(folder_.file("source"), sources);
  write_bytes(folder_.file("reference"), references);
  std::vector<std::vector<Instance>> runs;
  for (const char* n : {"1", "5"}) {
    const std::string out = folder_.file(std::string("out") + n);
    const Outcome outcome = evaluate("--k 2 --sessions " + std::string(n) + " --output " + out);
    ASSERT_EQ(outcome.status, 0) << outcome.err;
    runs.push_back(read_instances_log(out + "/k2/instances.log"));
    ASSERT_EQ(runs.back().size(), 12u);
  }
  for (std::size_t i = 0; i < 12; ++i) {
    EXPECT_EQ(runs[0][i].source, runs[1][i].source);
    EXPECT_EQ(runs[0][i].prediction, runs[1][i].prediction) << "line " << i + 1;
    EXPECT_EQ(runs[0][i].delays, runs[1][i].delays) << "line " << i + 1;
  }
}

TEST_F(EvaluateTest, ARepetitionBlockChangesWhatIsWritten) {
  // The random model repeats itself; a word may not stand twice when n is 1.
  ASSERT_EQ(evaluate("--k 2 --no-repeat-ngram 1 --limit 1 --output " + folder_.file("out")).status, 0);
  const std::string blocked = read_instances_log(folder_.file("out/k2/instances.log"))[0].prediction;
  ASSERT_EQ(evaluate("--k 2 --limit 1 --output " + folder_.file("free")).status, 0);
  EXPECT_NE(blocked, read_instances_log(folder_.file("free/k2/instances.log"))[0].prediction);
}

TEST_F(EvaluateTest, LimitTakesTheFirstLines) {
  const auto row = boost::json::parse(evaluate("--k 1 --json --limit 1").out).as_object();
  EXPECT_EQ(row.at("sentences").as_int64(), 1);
}

std::vector<Event> commits(const std::vector<std::pair<std::string, int>>& texts) {
  std::vector<Event> events;
  for (const auto& [text, delay] : texts) {
    events.push_back({.kind = EventKind::kCommit, .text = text, .delay_words = delay});
  }
  return events;
}

TEST(UnitDelays, AWordCountsWhenItsLastByteIsThere) {
  EXPECT_THAT(
      unit_delays(commits({{"Ein", 2}, {" Mann", 3}, {"schaft", 4}, {" a\u00a0b", 5}}), LatencyUnit::kWord),
      ElementsAre(2, 4, 5, 5));
  EXPECT_THAT(unit_delays(commits({{" ", 1}, {" Ein", 2}, {" ", 3}}), LatencyUnit::kWord), ElementsAre(2));
  EXPECT_THAT(unit_delays(commits({{"\u4f60", 1}, {"\u597d ", 2}, {"\u3002", 3}}), LatencyUnit::kChar),
              ElementsAre(1, 2, 3));
}

TEST(Inspect, SaysWhatTheFileIs) {
  const Outcome outcome = run_tandem("inspect --json " + tiny_model());
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const auto about = boost::json::parse(outcome.out).as_object();
  EXPECT_EQ(about.at("architecture").as_string(), "llama");
  EXPECT_TRUE(about.at("runs").as_bool());
  EXPECT_GT(about.at("weights").at("parameters").as_int64(), 100000);
  EXPECT_EQ(about.at("stream").at("source_languages").as_array().at(0).as_string(), "en");
  EXPECT_EQ(about.at("stream").at("k").as_array().at(1).as_string(), "inf");
  // f16 K and V of 1024 rows, 2 layers, 2 heads of 64, and less than 1 MiB beside them.
  const std::int64_t cache = 2LL * 2 * 1024 * 2 * 128;
  EXPECT_GE(about.at("session_bytes").as_int64(), cache);
  EXPECT_LT(about.at("session_bytes").as_int64(), cache + (1 << 20));
  EXPECT_THAT(run_tandem("inspect " + tiny_model()).out, HasSubstr("stream.source_languages"));
}

TEST(Quantize, WritesASmallerModelThatRuns) {
  const TemporaryFolder folder;
  const Outcome outcome =
      run_tandem("quantize " + tiny_model() + " " + folder.file("q8.gguf") + " --type q8_0");
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_LT(read_bytes(folder.file("q8.gguf")).size() * 3, read_bytes(tiny_model()).size());
  const Outcome translated =
      run_tandem("translate --to fr --model " + folder.file("q8.gguf"), "A man sees a dog.\n");
  EXPECT_EQ(translated.status, 0) << translated.err;
  EXPECT_EQ(lines_of(translated.out).size(), 1u);
}

}  // namespace
}  // namespace tandem::testing
