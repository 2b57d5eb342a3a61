// Adapters from the command line: translate, evaluate, inspect, verify, average, and merge into a model of
// its own.
#include <gmock/gmock.h>

#include <boost/json.hpp>
#include <filesystem>
#include <numeric>

#include "cli/program.h"
#include "model/tiny_adapter.h"

namespace tandem::testing {
namespace {

using ::testing::HasSubstr;
namespace json = boost::json;

class AdapterCommands : public ::testing::Test {
 protected:
  AdapterCommands() {
    std::vector<int> kept(60);
    std::iota(kept.begin(), kept.end(), 2);
    write_tiny_adapter(adapter_, tiny_model(), {.kept = kept});
  }
  std::string translate(const std::string& model) {
    const Outcome outcome =
        run_tandem("translate --threads 1 --to de --model " + model, "A man sees a dog.\n");
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    return outcome.out;
  }

  TemporaryFolder folder_;
  std::string adapter_ = folder_.file("adapter.gguf");
};

TEST_F(AdapterCommands, TranslateWritesWhatTheMergedModelWrites) {
  const std::string merged = folder_.file("merged.gguf");
  const Outcome outcome = run_tandem("merge " + tiny_model() + " " + adapter_ + " " + merged);
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("15 matrices written anew"));
  const std::string text = translate(tiny_model() + " --adapter " + adapter_);
  EXPECT_EQ(text, translate(merged));
  EXPECT_NE(text, translate(tiny_model()));
}

TEST_F(AdapterCommands, EvaluateNamesTheAdapter) {
  write_bytes(folder_.file("source"), "A man sees a dog.\n");
  write_bytes(folder_.file("reference"), "Ein Mann sieht einen Hund.\n");
  const Outcome outcome = run_tandem("evaluate --json --threads 1 --to de --k 3 --model " + tiny_model() +
                                     " --adapter " + adapter_ + " --source " + folder_.file("source") +
                                     " --reference " + folder_.file("reference"));
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(json::parse(outcome.out).at("adapter"), json::value(adapter_));
}

TEST_F(AdapterCommands, InspectShowsAnAdapterAloneAndBesideItsBase) {
  const Outcome alone = run_tandem("inspect --json " + adapter_);
  EXPECT_EQ(alone.status, 0) << alone.err;
  const json::value about = json::parse(alone.out);
  EXPECT_EQ(about.at("lora").at("architecture"), "llama");
  EXPECT_EQ(about.at("lora").at("rank"), json::array{8});
  EXPECT_EQ(about.at("lora").at("alpha").to_number<double>(), 4.0);
  EXPECT_EQ(about.at("lora").at("targets").at("attn_q.weight"), 2);
  EXPECT_EQ(about.at("lora").at("targets").at("output.weight"), 1);
  EXPECT_EQ(about.at("stream").at("kept_ids"), 60);
  EXPECT_EQ(about.at("stream").at("target_prefix").at("fr"), "<s>fr");

  const Outcome beside = run_tandem("inspect --json " + tiny_model() + " --adapter " + adapter_);
  EXPECT_EQ(beside.status, 0) << beside.err;
  EXPECT_EQ(json::parse(beside.out).at("adapter").at("lora"), about.at("lora"));
  EXPECT_EQ(json::parse(beside.out).at("stream").at("kept_ids"), 60);
  EXPECT_EQ(json::parse(beside.out).at("runs"), true);
  EXPECT_THAT(run_tandem("inspect " + adapter_).out, HasSubstr("lora.alpha                     4\n"));
}

TEST_F(AdapterCommands, VerifyComparesWithLibllamasAdapter) {
  const Outcome outcome =
      run_tandem("verify " + tiny_model() + " --adapter " + adapter_ + " --tokens 16 --threads 1 --json");
  EXPECT_EQ(outcome.status, 0) << outcome.err << outcome.out;
  const json::value report = json::parse(outcome.out);
  EXPECT_EQ(report.at("adapter"), json::value(adapter_));
  EXPECT_EQ(report.at("ids"), 60);
  EXPECT_EQ(report.at("greedy_equal").to_number<double>(), 1.0);
  EXPECT_LT(report.at("max_abs").to_number<double>(), 1e-3);
}

TEST_F(AdapterCommands, AverageWritesAnAdapter) {
  const std::string other = folder_.file("other.gguf"), mean = folder_.file("mean.gguf");
  write_tiny_adapter(other, tiny_model(), {.seed = 6});
  const Outcome outcome = run_tandem("average " + adapter_ + " " + other + " --weights 3,1 -o " + mean);
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("the mean of 2 adapters, 30 matrices"));
  const std::string text = translate(tiny_model() + " --adapter " + mean);
  EXPECT_NE(text, translate(tiny_model() + " --adapter " + adapter_));
  const Outcome refused = run_tandem("average " + adapter_ + " " + other + " --weights 3 -o " + mean);
  EXPECT_EQ(refused.status, 1);
  EXPECT_THAT(refused.err, HasSubstr("weights: expected one for each of 2 adapters, got 1"));
  EXPECT_EQ(lines_of(refused.err).size(), 1U) << refused.err;
}

TEST_F(AdapterCommands, InterruptedRewritesLeaveNoFile) {
  const std::string out = folder_.file("out.gguf");
  for (const std::string& command :
       {"merge " + tiny_model() + " " + adapter_ + " " + out,
        "average " + adapter_ + " " + adapter_ + " -o " + out, "quantize " + tiny_model() + " " + out}) {
    // Blocked, the signal waits for the program: it is there before the work begins.
    const Outcome outcome =
        run_shell("exec env --block-signal=INT sh -c 'kill -INT $$; exec \"$TANDEM\" " + command + "'");
    EXPECT_EQ(outcome.status, 1) << command;
    EXPECT_THAT(outcome.err, HasSubstr("stopped before it was done")) << command;
    EXPECT_EQ(lines_of(outcome.err).size(), 1U) << outcome.err;
    EXPECT_FALSE(std::filesystem::exists(out)) << command;
  }
}

TEST_F(AdapterCommands, WhatIsNoAdapterIsOneErrorEverywhere) {
  for (const std::string command : {"translate --to de --model ", "inspect ", "verify "}) {
    const Outcome outcome = run_tandem(command + tiny_model() + " --adapter " + tiny_model(), "A line.\n");
    EXPECT_EQ(outcome.status, 1) << command;
    ASSERT_EQ(lines_of(outcome.err).size(), 1U) << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr("general.type"));
  }
  const Outcome swapped = run_tandem("translate --to de --model " + adapter_, "A line.\n");
  EXPECT_EQ(swapped.status, 1);
  EXPECT_THAT(swapped.err, HasSubstr("expected a model, got an adapter"));
}

}  // namespace
}  // namespace tandem::testing
