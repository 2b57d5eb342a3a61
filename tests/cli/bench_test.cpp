// `tandem bench sessions` on a small random model.
#include <gmock/gmock.h>

#include <boost/json.hpp>

#include "cli/bench_text.h"
#include "cli/program.h"
#include "text/utf8.h"

namespace tandem::testing {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr const char* kSource = "A man sees a dog.\n\nTwo words\nA woman is in the house.\n";

Outcome bench(const std::string& arguments, const std::string& source = "-") {
  return run_tandem("bench sessions --threads 1 --slots 256 --sentences 2 --source " + source + " --model " +
                        tiny_model() + " " + arguments,
                    kSource);
}

std::vector<std::string> keys_of(const boost::json::object& object) {
  std::vector<std::string> keys;
  for (const auto& entry : object) keys.emplace_back(entry.key());
  return keys;
}

double number(const boost::json::object& object, const std::string& key) {
  return object.at(key).to_number<double>();
}

TEST(BenchSessions, JsonHasExactlyTheKeysOfTheContract) {
  const Outcome outcome = bench("--n 1,4 --k inf --rounds 2 --json");
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(outcome.err, "");
  const auto lines = lines_of(outcome.out);
  ASSERT_EQ(lines.size(), 2u);
  std::vector<std::string> keys = {"model",  "to",        "k",     "pace",   "sessions",
                                   "rounds", "sentences", "words", "seconds"};
  for (const char* name : {"words_per_second", "tokens_per_second", "p50_commit_ms", "p99_commit_ms",
                           "passes_per_token", "rows_per_pass"}) {
    for (const char* part : {"", "_min", "_max"}) keys.push_back(std::string(name) + part);
  }
  keys.emplace_back("bytes_per_session");
  keys.emplace_back("pass_costs");
  keys.emplace_back("wide_rows");
  std::vector<boost::json::object> rows;
  for (const std::string& line : lines) {
    rows.push_back(boost::json::parse(line).as_object());
    const auto& row = rows.back();
    EXPECT_THAT(keys_of(row), ElementsAreArray(keys));
    EXPECT_EQ(row.at("to").as_string(), "de");
    EXPECT_EQ(row.at("k").as_string(), "inf");
    EXPECT_EQ(row.at("rounds").as_int64(), 2);
    EXPECT_GE(row.at("sentences").as_int64(), 4 * row.at("sessions").as_int64());
    EXPECT_EQ(row.at("pass_costs").as_array().front().at("rows").as_int64(), 1);
    EXPECT_GT(number(row, "p50_commit_ms"), 0);
    EXPECT_GE(number(row, "p99_commit_ms"), number(row, "p50_commit_ms"));
    EXPECT_GT(number(row, "words_per_second_min"), 0);
    EXPECT_GT(number(row, "tokens_per_second"), number(row, "words_per_second"));  // each sentence has an end
    EXPECT_LE(number(row, "words_per_second_min"), number(row, "words_per_second"));
    EXPECT_LE(number(row, "words_per_second"), number(row, "words_per_second_max"));
    // f16 K and V of 256 slots, 2 layers, 2 heads of 64, and less than 1 MiB beside them.
    const double cache = 2.0 * 2 * 256 * 2 * 128;
    EXPECT_GE(number(row, "bytes_per_session"), cache);
    EXPECT_LT(number(row, "bytes_per_session"), cache + (1 << 20));
  }
  EXPECT_EQ(rows[0].at("sessions").as_int64(), 1);
  EXPECT_EQ(rows[1].at("sessions").as_int64(), 4);
  EXPECT_GE(number(rows[0], "passes_per_token"), 0.9);
  EXPECT_LT(number(rows[1], "passes_per_token"), 0.5) << "four sessions share each pass";
  EXPECT_EQ(number(rows[0], "passes_per_token_min"), number(rows[0], "passes_per_token_max"));
}

TEST(BenchSessions, APaceIsKeptAndItsLagReported) {
  const Outcome outcome = bench("--n 2 --to fr --k 1 --pace 50 --json --rounds 1");
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const auto row = boost::json::parse(outcome.out).as_object();
  EXPECT_EQ(row.at("to").as_string(), "fr");
  EXPECT_EQ(row.at("k").as_int64(), 1);
  EXPECT_EQ(row.at("pace").as_double(), 50);
  EXPECT_GE(number(row, "p99_lag_ms"), number(row, "p99_commit_ms"));
  EXPECT_GE(number(row, "seconds"), 7 / 50.0) << "the second session reads eight words";
}

TEST(BenchSessions, TableHasALinePerNumberOfSessions) {
  const Outcome outcome = bench("--n 3,1 --rounds 2");
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const auto lines = lines_of(outcome.out);
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_THAT(lines[0], AllOf(HasSubstr("sessions"), HasSubstr("words/s"), HasSubstr("passes/token")));
  EXPECT_THAT(lines[1], StartsWith("       3 "));
  EXPECT_THAT(lines[2], StartsWith("       1 "));
}

TEST(BenchSessions, HasATextOfItsOwn) {
  const Outcome outcome =
      run_tandem("bench sessions --json --threads 1 --n 1 --rounds 1 --sentences 1 --model " + tiny_model());
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_GT(boost::json::parse(outcome.out).as_object().at("words").as_int64(), 0);
}

TEST(BenchText, AnyFourSentencesAreAboutAsLongAsAnyOtherFour) {
  std::vector<std::size_t> lengths;
  for (std::string_view line : bench_text()) lengths.push_back(split_words(line).size());
  ASSERT_GE(lengths.size(), 24u);
  ASSERT_EQ(lengths.size() % 4, 0u);
  for (std::size_t i = 0; i < lengths.size(); ++i) {
    EXPECT_GE(lengths[i], 5u) << i;
    EXPECT_LE(lengths[i], 35u) << i;
    std::size_t four = 0;
    for (std::size_t j = 0; j < 4; ++j) four += lengths[(i + j) % lengths.size()];
    EXPECT_GE(four, 68u) << i;
    EXPECT_LE(four, 76u) << i;
  }
}

void expect_one_line_error(const Outcome& outcome, int status, const std::string& part) {
  EXPECT_EQ(outcome.status, status) << outcome.err;
  EXPECT_EQ(outcome.out, "");
  EXPECT_THAT(outcome.err, AllOf(StartsWith("tandem: bench"), HasSubstr(part)));
  EXPECT_EQ(lines_of(outcome.err).size(), 1u) << outcome.err;
}

TEST(BenchSessions, WrongCommandLinesExitWithTwo) {
  expect_one_line_error(run_tandem("bench"), 2, "subcommand");
  expect_one_line_error(run_tandem("bench sessions"), 2, "--model");
  expect_one_line_error(bench("--n 0"), 2, "--n: expected whole numbers from 1 to 100000, got '0'");
  expect_one_line_error(bench("--n 1,"), 2, "got ''");
  expect_one_line_error(bench("--n 1,4x"), 2, "got '4x'");
  expect_one_line_error(bench("--n 4,1,4"), 2, "expected each value once, got '4,1,4'");
  expect_one_line_error(bench("--pace -1"), 2, "--pace");
  expect_one_line_error(bench("--k 0"), 2, "--k");
  expect_one_line_error(bench("--rounds 0"), 2, "--rounds");
  expect_one_line_error(bench("--seconds 1"), 2, "--sentences");
  EXPECT_THAT(bench("--n 0").err, HasSubstr("tandem bench sessions --help"));
}

TEST(BenchSessions, WhatCannotBeMeasuredExitsWithOne) {
  expect_one_line_error(bench("--n 1 --to xx"), 1, "xx");
  expect_one_line_error(bench("--n 1", "/nowhere.txt"), 1, "/nowhere.txt");
  expect_one_line_error(bench("--n 1000000", "/dev/null"), 2, "--n");
  expect_one_line_error(bench("--n 1", "/dev/null"), 1, "/dev/null: expected at least one line");
  expect_one_line_error(bench("--n 90000"), 1, "max_sessions");
  const TemporaryFolder folder;
  std::string long_line = "Two words\n";
  for (int i = 0; i < 400; ++i) long_line += "dog ";
  write_bytes(folder.file("source"), long_line);
  expect_one_line_error(bench("--n 1", folder.file("source")), 1, "source:2: ");
}

TEST(BenchSessions, HelpSaysWhatIsMeasured) {
  const Outcome help = run_tandem("bench sessions --help");
  EXPECT_EQ(help.status, 0);
  EXPECT_THAT(help.out, AllOf(HasSubstr("commit ms: from when"), HasSubstr("=1,4,16"), HasSubstr("=3")));
  EXPECT_THAT(run_tandem("bench --help").out, HasSubstr("sessions"));
}

}  // namespace
}  // namespace tandem::testing
