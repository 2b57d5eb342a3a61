// What `tandem verify` says of sound files, and that it notices what a wrong model computes.
#include "model/verify.h"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <limits>

#include "model/stories_model.h"
#include "model/tiny_family.h"
#include "model/tiny_llama.h"
#include "tandem/error.h"

namespace tandem {
namespace {

using testing::TemporaryFolder;

TEST(Verify, EveryFamilyIsWithinItsTolerance) {
  const TemporaryFolder folder;
  const std::string path = folder.file("tiny.gguf");
  for (const auto& [name, shape] : testing::family_shapes()) {
    testing::write_tiny_family(path, shape);
    const VerifyReport report = verify_model(path, {.n_tokens = 24});
    EXPECT_EQ(report.architecture, shape.architecture);
    EXPECT_EQ(report.type, "f32");
    EXPECT_EQ(report.n_rows, 48);
    EXPECT_TRUE(report.is_within_tolerance())
        << name << ": " << report.mean_abs << " of " << report.mean_tolerance << ", " << report.greedy_equal;
    EXPECT_GE(report.max_abs, report.mean_abs);
    EXPECT_GT(report.deviation, 0.1) << "logits that are all alike say nothing";
  }
}

TEST(Verify, ARealModelIsWithinItsToleranceWithItsTokenizer) {
  const TemporaryFolder folder;
  const std::string path = folder.file("stories.gguf");
  testing::write_stories_model(path);
  const VerifyReport report = verify_model(path, {.n_tokens = 200});
  EXPECT_TRUE(report.is_within_tolerance()) << report.mean_abs << ", " << report.greedy_equal;
  EXPECT_TRUE(report.tokenizer_round_trip);
  EXPECT_EQ(report.greedy_equal, 1.0);
  EXPECT_GT(report.deviation, 1.0);
  RecordProperty("max_abs", fmt::format("{:.3g}", report.max_abs));
  RecordProperty("mean_abs", fmt::format("{:.3g}", report.mean_abs));
  RecordProperty("deviation", fmt::format("{:.3g}", report.deviation));
}

/// Other real files, if $TANDEM_MODEL_DIR names a folder of them (scripts/fetch-model puts some into
/// models/download).
TEST(Verify, RealFilesAreWithinTheirTolerance) {
  const char* folder = std::getenv("TANDEM_MODEL_DIR");
  if (folder == nullptr || *folder == '\0') GTEST_SKIP() << "TANDEM_MODEL_DIR is not set";
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".gguf") continue;
    const VerifyReport report = verify_model(entry.path().string(), {});
    const std::string found = fmt::format(
        "{}: {} {}, {} rows: max {:.3g}, mean {:.3g} of {:.3g}, greedy {:.3f}, tokenizer {}",
        entry.path().filename().string(), report.architecture, report.type, report.n_rows, report.max_abs,
        report.mean_abs, report.deviation, report.greedy_equal, report.tokenizer_round_trip);
    EXPECT_TRUE(report.is_within_tolerance()) << found;
    RecordProperty(entry.path().stem().string(), found);
  }
}

TEST(Verify, NumbersBeyondToleranceAreNotWithinIt) {
  VerifyReport report{
      .mean_abs = 0.1, .greedy_equal = 1, .tokenizer_round_trip = true, .mean_tolerance = 0.1};
  EXPECT_TRUE(report.is_within_tolerance());
  report.mean_abs = 0.2;
  EXPECT_FALSE(report.is_within_tolerance());
  report.mean_abs = std::numeric_limits<double>::quiet_NaN();
  EXPECT_FALSE(report.is_within_tolerance());
  report = {.greedy_equal = 0.5, .tokenizer_round_trip = true, .least_greedy_equal = 0.9};
  EXPECT_FALSE(report.is_within_tolerance());
  report = {.greedy_equal = 1, .tokenizer_round_trip = false};
  EXPECT_FALSE(report.is_within_tolerance());
}

TEST(Verify, OptionsAreChecked) {
  EXPECT_THROW(verify_model("/nowhere.gguf", {}), Error);
  EXPECT_THROW(verify_model("/nowhere.gguf", {.n_tokens = 1}), Error);
}

}  // namespace
}  // namespace tandem
