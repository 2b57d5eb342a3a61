// `--cache`, `--wide`, and what `tandem inspect` says that a session's cache takes.
#include <gmock/gmock.h>

#include <boost/json.hpp>

#include "cli/program.h"

namespace tandem::testing {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;

constexpr const char* kTypes[] = {"f32", "f16", "q8_0", "q4_0"};

TEST(CacheOption, TypesAreNamedInHelpAndErrors) {
  for (const char* command : {"translate", "evaluate"}) {
    const std::string help = run_tandem(std::string(command) + " --help").out;
    EXPECT_THAT(help, HasSubstr("--cache")) << command;
    EXPECT_THAT(help, HasSubstr("=f16")) << command;
  }
  const Outcome outcome = run_tandem("translate --to de --model m.gguf --cache q5_0");
  EXPECT_EQ(outcome.status, 2);
  EXPECT_THAT(outcome.err, HasSubstr("--cache"));
  for (const char* type : kTypes) EXPECT_THAT(outcome.err, HasSubstr(type));
}

TEST(CacheOption, TheTrainedModelWritesWholeSentencesWithEveryType) {
  const std::string command =
      "translate --threads 1 --to de --k 3 --model " TANDEM_SOURCE_DIR "/models/default.gguf --cache ";
  // Sentences of which the model is sure: where two words are nearly as good, q8_0 may take the other one.
  const std::string input = "A man is sitting on a bench.\nTwo dogs are playing in the snow.\n";
  std::vector<std::string> exact;
  for (const char* type : kTypes) {
    const Outcome outcome = run_tandem(command + type, input);
    ASSERT_EQ(outcome.status, 0) << outcome.err;
    const auto lines = lines_of(outcome.out);
    ASSERT_EQ(lines.size(), 2u) << type;
    for (const std::string& line : lines) EXPECT_THAT(line, EndsWith(".")) << type;
    EXPECT_THAT(lines[0], HasSubstr("Mann")) << type;
    EXPECT_THAT(lines[1], HasSubstr("Hunde")) << type;
    if (exact.empty()) exact = lines;
    if (std::string(type) == "q8_0") {
      EXPECT_EQ(lines, exact);
    }
  }
}

TEST(WideOption, CopiesForManyRowsTranslateToo) {
  const std::string command =
      "translate --threads 1 --to de --k 3 --model " TANDEM_SOURCE_DIR "/models/default.gguf --wide ";
  const std::string input = "A man is riding a bicycle down the street.\nTwo dogs are playing in the snow.\n";
  for (const char* choice : {"always", "never", "auto"}) {
    const Outcome outcome = run_tandem(command + choice, input);
    ASSERT_EQ(outcome.status, 0) << outcome.err;
    const auto lines = lines_of(outcome.out);
    ASSERT_EQ(lines.size(), 2u) << choice;
    for (const std::string& line : lines) EXPECT_THAT(line, EndsWith(".")) << choice;
    EXPECT_THAT(lines[0], HasSubstr("Mann")) << choice;
    EXPECT_THAT(lines[1], HasSubstr("Hunde")) << choice;
  }
  const Outcome outcome = run_tandem(command + "sometimes", input);
  EXPECT_EQ(outcome.status, 2);
  EXPECT_THAT(outcome.err, HasSubstr("--wide"));
}

TEST(CacheOption, AModelWithOtherHeadsIsRefusedInOneLine) {
  const TemporaryFolder folder;
  write_tiny_llama(folder.file("narrow.gguf"), {.n_heads = 16, .n_kv_heads = 8}, add_stream_metadata);
  const std::string model = folder.file("narrow.gguf");
  const Outcome outcome = run_tandem("translate --to de --cache q8_0 --model " + model, "A man.\n");
  EXPECT_EQ(outcome.status, 1);
  EXPECT_EQ(lines_of(outcome.err).size(), 1u) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("multiple of 32"));
  const auto about = boost::json::parse(run_tandem("inspect --json " + model).out).as_object();
  EXPECT_TRUE(about.at("cache").as_object().contains("f16"));
  EXPECT_FALSE(about.at("cache").as_object().contains("q8_0")) << "it cannot be had";
}

TEST(Inspect, SaysWhatASessionsCacheTakes) {
  const auto about =
      boost::json::parse(run_tandem("inspect --json --slots 100 " + tiny_model()).out).as_object();
  EXPECT_EQ(about.at("session_slots").as_int64(), 100);
  // K and V of 2 layers with 2 heads of 64 numbers; a block of 32 has an f16 beside its numbers.
  const std::int64_t slot_bytes[] = {2 * 2 * 128 * 4, 2 * 2 * 128 * 2, 2 * 2 * 4 * 34, 2 * 2 * 4 * 18};
  for (int i = 0; i < 4; ++i) {
    const auto& cache = about.at("cache").at(kTypes[i]);
    EXPECT_EQ(cache.at("slot_bytes").as_int64(), slot_bytes[i]) << kTypes[i];
    EXPECT_EQ(cache.at("span_bytes").as_int64(), slot_bytes[i] * 100) << kTypes[i];
  }
  EXPECT_EQ(about.at("copies_bytes").as_int64(), 0) << "of f32 there are none";
  // An open session holds its span and little else.
  const std::int64_t held = about.at("session_bytes").as_int64() - slot_bytes[1] * 100;
  EXPECT_GT(held, 0);
  EXPECT_LT(held, 64 << 10);
  EXPECT_THAT(run_tandem("inspect " + tiny_model()).out, HasSubstr("cache.q8_0.span_bytes"));
}

}  // namespace
}  // namespace tandem::testing
