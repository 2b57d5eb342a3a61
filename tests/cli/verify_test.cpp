// `tandem verify` as scripts use it: one JSON object, and an exit status that says what it says.
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <cstdio>

#include "cli/program.h"

namespace tandem::testing {
namespace {

TEST(VerifyCommand, SaysThatASoundModelIsLibllamas) {
  const Outcome outcome = run_tandem("verify " + tiny_model() + " --tokens 16 --threads 1 --json");
  EXPECT_EQ(outcome.status, 0) << outcome.err << outcome.out;
  ASSERT_EQ(lines_of(outcome.out).size(), 1u);
  const boost::json::object report = boost::json::parse(outcome.out).as_object();
  EXPECT_EQ(report.at("architecture"), "llama");
  EXPECT_EQ(report.at("type"), "f32");
  EXPECT_EQ(report.at("rows"), 32);
  EXPECT_EQ(report.at("greedy_equal").to_number<double>(), 1.0);
  EXPECT_GT(report.at("max_abs").to_number<double>(), 0.0);
  EXPECT_LT(report.at("max_abs").to_number<double>(), 1e-3);
  EXPECT_LE(report.at("mean_abs").to_number<double>(), report.at("max_abs").to_number<double>());
  EXPECT_EQ(report.at("tokenizer_round_trip"), true);
  EXPECT_EQ(report.at("ok"), true);
}

TEST(VerifyCommand, SaysItInWordsToo) {
  const Outcome outcome = run_tandem("verify " + tiny_model() + " --tokens 4 --threads 1");
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("best token   the same in 100.0%"), std::string::npos) << outcome.out;
  const std::size_t at = outcome.out.find("\nlogits ");
  ASSERT_NE(at, std::string::npos) << outcome.out;
  double mean = 0, allowed = 0, most = 0;
  ASSERT_EQ(
      std::sscanf(outcome.out.c_str() + at, "\nlogits differ by %lf on average (allowed %lf), %lf at most",
                  &mean, &allowed, &most),
      3)
      << outcome.out;
  EXPECT_LT(mean, most);
  EXPECT_LT(mean, allowed);
}

TEST(VerifyCommand, FailsOnWeightsWhoseLogitsAreNoNumbers) {
  const TemporaryFolder folder;
  const std::string path = folder.file("broken.gguf");
  std::string bytes = read_bytes(tiny_model());
  std::fill(bytes.end() - 16, bytes.end(), '\xff');  // four NaN at the end of the last tensor
  write_bytes(path, bytes);
  const Outcome outcome = run_tandem("verify " + path + " --tokens 4 --threads 1 --json");
  EXPECT_EQ(outcome.status, 1) << outcome.err << outcome.out;
  ASSERT_EQ(lines_of(outcome.out).size(), 1U) << outcome.err;
  const boost::json::value report = boost::json::parse(outcome.out);
  EXPECT_EQ(report.at("ok"), false);
  EXPECT_TRUE(report.at("max_abs").is_null()) << outcome.out;
  EXPECT_EQ(run_tandem("verify " + folder.file("none.gguf")).status, 1);
  EXPECT_EQ(run_tandem("verify " + tiny_model() + " --tokens 1").status, 2);
}

}  // namespace
}  // namespace tandem::testing
