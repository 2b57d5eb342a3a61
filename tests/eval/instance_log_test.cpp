// SimulEval's output folder: its own logs read and written back are the same JSON, the scores of its runs
// come out, and bad lines say where they are bad.
#include "eval/instance_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <limits>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "eval/bleu.h"
#include "eval/latency.h"
#include "support/golden.h"
#include "tandem/error.h"

namespace tandem {
namespace {

using ::testing::HasSubstr;

/// A folder that is gone at the end of the test.
class InstanceLog : public ::testing::Test {
 protected:
  InstanceLog()
      : folder_(std::filesystem::temp_directory_path() /
                ("tandem_instance_log_" + std::to_string(getpid()) + "_" +
                 ::testing::UnitTest::GetInstance()->current_test_info()->name())) {
    std::filesystem::create_directories(folder_);
  }
  ~InstanceLog() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path write(const std::string& text) const {
    const std::filesystem::path path = folder_ / "instances.log";
    std::ofstream(path, std::ios::binary) << text;
    return path;
  }

  std::filesystem::path folder_;
};

/// The output folders of all golden runs.
std::vector<std::filesystem::path> golden_outputs() {
  std::vector<std::filesystem::path> outputs;
  for (const std::filesystem::path& root : testing::golden_roots()) {
    if (!std::filesystem::is_directory(root / "simuleval")) continue;
    for (const auto& run : std::filesystem::directory_iterator(root / "simuleval")) {
      if (std::filesystem::exists(run.path() / "output" / "instances.log"))
        outputs.push_back(run.path() / "output");
    }
  }
  EXPECT_FALSE(outputs.empty());
  return outputs;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

std::string message_of(std::string_view line) {
  try {
    from_log_line(line, "out/instances.log:7");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kBadFile);
    return error.what();
  }
  return "no error";
}

/// A good line; tests break one thing in it.
boost::json::object good_line() {
  return boost::json::parse(R"({"index": 0, "prediction": "a b", "delays": [1, 2], "elapsed": [0, 0],
                                "prediction_length": 2, "reference": "a b\n", "source": "x y", "source_length": 2})")
      .as_object();
}

std::string with(const char* key, boost::json::value value) {
  boost::json::object line = good_line();
  line[key] = std::move(value);
  return boost::json::serialize(line);
}

std::string without(const char* key) {
  boost::json::object line = good_line();
  line.erase(key);
  return boost::json::serialize(line);
}

TEST_F(InstanceLog, WhatSimulEvalWroteComesBackTheSame) {
  for (const std::filesystem::path& output : golden_outputs()) {
    SCOPED_TRACE(output.string());
    const std::vector<std::string> expected = lines_of(testing::read_text(output / "instances.log"));
    const std::vector<Instance> instances = read_instances_log(output / "instances.log");
    write_instances_log(folder_ / "instances.log", instances);
    const std::vector<std::string> written = lines_of(testing::read_text(folder_ / "instances.log"));
    ASSERT_EQ(written.size(), expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i) {
      // Kinds of number are compared too: words are integers, milliseconds are not.
      EXPECT_EQ(boost::json::parse(written[i]), boost::json::parse(expected[i])) << "line " << i + 1;
    }
  }
}

TEST_F(InstanceLog, ScoresOfSimulEvalsRunsComeOut) {
  for (const std::filesystem::path& output : golden_outputs()) {
    SCOPED_TRACE(output.string());
    std::vector<std::string> predictions;
    std::vector<std::string> references;
    std::vector<std::optional<Latency>> latencies;
    for (const Instance& instance : read_instances_log(output / "instances.log")) {
      predictions.push_back(instance.prediction);
      references.push_back(instance.reference.value());
      latencies.push_back(
          latency_of({.delays = instance.delays,
                      .source_length = instance.source_length,
                      .reference_length = reference_length(*instance.reference, LatencyUnit::kWord),
                      .source = instance.source_kind()}));
    }
    const Latency latency = mean_latency(latencies).value();
    write_scores_tsv(folder_ / "scores.tsv",
                     std::vector<NamedScore>{{"BLEU", corpus_bleu(predictions, references).score},
                                             {"LAAL", latency.laal},
                                             {"AL", latency.al},
                                             {"AP", latency.ap},
                                             {"DAL", latency.dal},
                                             {"ATD", latency.atd}});
    EXPECT_EQ(testing::read_text(folder_ / "scores.tsv"), testing::read_text(output / "scores.tsv"));
  }
}

TEST_F(InstanceLog, ConfigIsSimulEvals) {
  for (const std::filesystem::path& output : golden_outputs()) {
    const std::vector<Instance> instances = read_instances_log(output / "instances.log");
    write_config_yaml(folder_ / "config.yaml", instances.front().source_kind());
    EXPECT_EQ(testing::read_text(folder_ / "config.yaml"), testing::read_text(output / "config.yaml"));
  }
}

TEST(InstanceLogLine, KeysStandInSimulEvalsOrder) {
  const Instance instance = from_log_line(boost::json::serialize(good_line()), "here:1");
  EXPECT_EQ(to_log_line(instance),
            R"({"index": 0, "prediction": "a b", "delays": [1, 2], "elapsed": [0, 0], )"
            R"("prediction_length": 2, "reference": "a b\n", "source": "x y", )"
            R"("source_length": 2})");
}

TEST(InstanceLogLine, AnyTextSurvives) {
  Instance instance;
  instance.prediction = "\"\\\n\t\x01 Größe \U0001F642";
  EXPECT_EQ(from_log_line(to_log_line(instance), "here:1").prediction, instance.prediction);
}

TEST(InstanceLogLine, MissingElapsedReferenceAndSourceAreAllowed) {
  const Instance instance = from_log_line(R"({"index": 3, "prediction": "", "delays": [], "reference": null,
                                              "source_length": 0, "metrics": {}})",
                                          "here:1");
  EXPECT_EQ(instance.index, 3);
  EXPECT_FALSE(instance.reference);
  EXPECT_THAT(to_log_line(instance), HasSubstr(R"("reference": null)"));
}

TEST(InstanceLogLine, BadLinesSayWhereWhatAndWhatInstead) {
  EXPECT_EQ(message_of("[1]"), "out/instances.log:7: expected one JSON object, got an array");
  EXPECT_THAT(message_of("{\"index\": 0,"),
              HasSubstr("out/instances.log:7: expected one JSON object, got text"));
  EXPECT_THAT(message_of(""), HasSubstr("expected one JSON object"));
  EXPECT_THAT(message_of(with("delays", {1, nullptr})), HasSubstr("\"delays\" to be a number, got null"));
  EXPECT_THAT(message_of(with("delays", "1")),
              HasSubstr("\"delays\" to be an array of numbers, got a string"));
  EXPECT_THAT(message_of(with("delays", {1, -2})),
              HasSubstr("\"delays\" to be finite and not negative, got -2"));
  EXPECT_THAT(message_of(with("delays", {1})), HasSubstr("expected 1 elapsed times, one per delay, got 2"));
  EXPECT_THAT(message_of(with("prediction_length", 3)), HasSubstr("2, the number of delays, got 3"));
  EXPECT_THAT(message_of(with("index", 0.5)), HasSubstr("\"index\" to be a whole number from 0"));
  EXPECT_THAT(message_of(with("index", -1)), HasSubstr("\"index\" to be a whole number from 0, got -1"));
  EXPECT_THAT(message_of(with("source", {1})), HasSubstr("\"source\" to be a string"));
  EXPECT_THAT(message_of(with("reference", 1)), HasSubstr("\"reference\" to be a string, got 1"));
  for (const char* key : {"index", "prediction", "delays", "source_length"}) {
    EXPECT_THAT(message_of(without(key)), HasSubstr("expected \"" + std::string(key) + "\"")) << key;
  }
}

TEST(InstanceLogLine, NumbersThatAreNoJsonAreRefusedInBothDirections) {
  EXPECT_NE(message_of(R"({"index": 0, "prediction": "a", "delays": [NaN], "source_length": 1})"),
            "no error");
  EXPECT_NE(message_of(R"({"index": 0, "prediction": "a", "delays": [1e999], "source_length": 1})"),
            "no error");
  Instance instance;
  instance.delays = {std::numeric_limits<double>::infinity()};
  EXPECT_THROW(to_log_line(instance), Error);
  instance.delays = {1};
  instance.source_length = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THROW(to_log_line(instance), Error);
}

TEST(InstanceLogLine, EveryTruncationIsOneError) {
  const std::string line = boost::json::serialize(good_line());
  for (std::size_t length = 0; length < line.size(); ++length) {
    EXPECT_NE(message_of(std::string_view(line).substr(0, length)), "no error") << length;
  }
}

TEST_F(InstanceLog, ErrorsCountLinesFromOne) {
  const std::string good = boost::json::serialize(good_line());
  const std::filesystem::path path = write(good + "\n\n{}\n");
  try {
    read_instances_log(path);
    FAIL() << "a line without keys was taken";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("instances.log:3: expected \"index\""));
  }
}

TEST_F(InstanceLog, AnIndexStandsOnce) {
  const std::string good = boost::json::serialize(good_line());
  EXPECT_THROW(read_instances_log(write(good + "\n" + good + "\n")), Error);
}

TEST_F(InstanceLog, MissingFileAndFolderAreErrors) {
  EXPECT_THROW(read_instances_log(folder_ / "none.log"), Error);
  EXPECT_THROW(write_instances_log(folder_ / "none" / "instances.log", {}), Error);
}

TEST_F(InstanceLog, ScoresThatAreNotFiniteAreNotWritten) {
  const std::filesystem::path path = folder_ / "scores.tsv";
  EXPECT_THROW(
      write_scores_tsv(path, std::vector<NamedScore>{{"AL", std::numeric_limits<double>::quiet_NaN()}}),
      Error);
  EXPECT_FALSE(std::filesystem::exists(path));
}

}  // namespace
}  // namespace tandem
