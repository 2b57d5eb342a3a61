// Latency against SimulEval: every instance, every metric, with and without the reference's length, on delays
// and on elapsed times, and the means over the corpus.
#include "eval/latency.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "support/golden.h"
#include "tandem/error.h"

namespace tandem {
namespace {

using boost::json::object;
using boost::json::value;
using Latencies = std::vector<std::optional<Latency>>;

struct Metric {
  const char* name;
  double Latency::*member;
};

constexpr Metric kMetrics[] = {
    {"AL", &Latency::al},
    {"LAAL", &Latency::laal},
    {"AP", &Latency::ap},
    {"DAL", &Latency::dal},
    {"ATD", &Latency::atd},
    {"StartOffset", &Latency::start_offset},
    {"EndOffset", &Latency::end_offset},
    {"NumChunks", &Latency::num_chunks},
    {"RTF", &Latency::rtf},
};

enum class ReferenceLength { kUse, kIgnore };

/// Compares the metrics that `expected` has; `suffix` is what the tool appends to their names.
void expect_equal(const std::optional<Latency>& latency, const object& expected,
                  const std::string& suffix = "") {
  int n_compared = 0;
  for (const Metric& metric : kMetrics) {
    const value* wanted = expected.if_contains(metric.name + suffix);
    if (wanted == nullptr) continue;
    ++n_compared;
    ASSERT_EQ(latency.has_value(), !wanted->is_null()) << metric.name;
    if (!latency) continue;
    const double y = wanted->to_number<double>();
    EXPECT_NEAR((*latency).*metric.member, y, 1e-9 * std::max(1.0, std::abs(y))) << metric.name << suffix;
  }
  EXPECT_GE(n_compared, 3);
}

/// An instance of a golden file, as the numbers that the scorers read.
struct GoldenInstance {
  std::vector<double> delays;
  std::vector<double> elapsed;
  std::string reference;
  LatencyInput input;

  GoldenInstance(const value& json, SourceKind source, ReferenceLength use,
                 LatencyUnit unit = LatencyUnit::kWord) {
    for (const value& delay : json.at("delays").as_array()) delays.push_back(delay.to_number<double>());
    for (const value& time : json.at("elapsed").as_array()) elapsed.push_back(time.to_number<double>());
    input = {.delays = delays,
             .elapsed = elapsed,
             .source_length = json.at("source_length").to_number<double>(),
             .source = source};
    if (use == ReferenceLength::kIgnore || !json.at("reference").is_string()) return;
    reference = json.at("reference").as_string();
    input.reference_length = tandem::reference_length(reference, unit);
    EXPECT_EQ(*input.reference_length, json.at("reference_length").as_int64());
  }
  GoldenInstance(const GoldenInstance&) = delete;  // `input` points into the vectors
  GoldenInstance& operator=(const GoldenInstance&) = delete;
};

/// Checks all instances of a file by one scorer's key, and then the means.
template <class Score>
void expect_file_equal(const value& file, const char* key, SourceKind source, ReferenceLength use,
                       Score score, const std::string& suffix = "") {
  Latencies latencies;
  for (const value& json : file.at("instances").as_array()) {
    SCOPED_TRACE(std::string(key) + ": instance " + std::to_string(latencies.size()) + ", " +
                 std::string(json.at("what").as_string()));
    const GoldenInstance instance(json, source, use);
    latencies.push_back(score(instance.input));
    expect_equal(latencies.back(), json.at(key).as_object(), suffix);
  }
  SCOPED_TRACE(std::string(key) + ": corpus");
  expect_equal(mean_latency(latencies), file.at("corpus").at(key).as_object(), suffix);
}

void for_each_file(const char* name, void (*check)(const value&)) {
  for (const std::filesystem::path& path : testing::golden_files("latency", name)) {
    SCOPED_TRACE(path.string());
    check(testing::read_json(path));
  }
}

TEST(Latency, TextEqualsSimulEval) {
  for_each_file("text.json", [](const value& file) {
    expect_file_equal(file, "simuleval", SourceKind::kText, ReferenceLength::kUse, latency_of);
    expect_file_equal(file, "simuleval_no_ref_len", SourceKind::kText, ReferenceLength::kIgnore, latency_of);
    expect_file_equal(file, "omnisteval", SourceKind::kText, ReferenceLength::kUse, latency_of);
  });
}

TEST(Latency, SpeechEqualsSimulEval) {
  for_each_file("speech.json", [](const value& file) {
    expect_file_equal(file, "simuleval", SourceKind::kSpeech, ReferenceLength::kUse, latency_of);
    expect_file_equal(file, "simuleval_CA", SourceKind::kSpeech, ReferenceLength::kUse,
                      computation_aware_latency_of);
    expect_file_equal(file, "omnisteval", SourceKind::kSpeech, ReferenceLength::kUse,
                      computation_aware_latency_of, "_CA");
  });
}

TEST(Latency, CharactersEqualSimulEval) {
  for_each_file("text.json", [](const value& file) {
    for (const value& json : file.at("char_unit").as_array()) {
      SCOPED_TRACE(std::string(json.at("reference").as_string()));
      const GoldenInstance instance(json, SourceKind::kText, ReferenceLength::kUse, LatencyUnit::kChar);
      expect_equal(latency_of(instance.input), json.at("simuleval").as_object());
    }
  });
}

TEST(Latency, TextTakenForSpeechHasTheTokenDelayOfALog) {
  for_each_file("text.json", [](const value& file) {
    for (const value& json : file.at("instances").as_array()) {
      const GoldenInstance instance(json, SourceKind::kSpeech, ReferenceLength::kUse);
      const std::optional<Latency> latency = latency_of(instance.input);
      const value& expected = json.at("simuleval_from_log_ATD");
      ASSERT_EQ(latency.has_value(), !expected.is_null());
      if (latency) {
        EXPECT_NEAR(latency->atd, expected.to_number<double>(), 1e-9);
      }
    }
  });
}

TEST(Latency, ReferenceLengthCountsSpaces) {
  EXPECT_EQ(reference_length("", LatencyUnit::kWord), 1);
  EXPECT_EQ(reference_length("a  b\n", LatencyUnit::kWord), 3);
  EXPECT_EQ(reference_length(" 我们 在\n", LatencyUnit::kChar), 4);
  EXPECT_EQ(reference_length("\n", LatencyUnit::kChar), 0);
}

TEST(Latency, NothingToMeasureByHasNoValue) {
  const std::vector<double> delays = {0, 0};
  EXPECT_FALSE(latency_of({.source_length = 3}));
  EXPECT_FALSE(latency_of({.delays = delays, .source_length = 0}));
  EXPECT_FALSE(latency_of({.delays = delays, .source_length = 3, .reference_length = 0}));
  EXPECT_FALSE(mean_latency({}));
  EXPECT_FALSE(mean_latency(Latencies(2)));
}

TEST(Latency, InstancesWithoutValueHaveNoPartInTheMean) {
  const Latencies latencies = {Latency{.al = 2, .rtf = 1}, std::nullopt, Latency{.al = 4, .rtf = 0.5}};
  const std::optional<Latency> mean = mean_latency(latencies);
  ASSERT_TRUE(mean);
  EXPECT_DOUBLE_EQ(mean->al, 3);
  EXPECT_DOUBLE_EQ(mean->rtf, 0.75);
}

TEST(Latency, BadNumbersAreErrors) {
  const std::vector<double> good = {1, 2};
  const std::vector<double> down = {2, 1};
  const std::vector<double> nan = {1, std::nan("")};
  const std::vector<double> negative = {-1, 1};
  const std::vector<double> too_few = {1};
  EXPECT_THROW(latency_of({.delays = down, .source_length = 2}), Error);
  EXPECT_THROW(latency_of({.delays = nan, .source_length = 2}), Error);
  EXPECT_THROW(latency_of({.delays = negative, .source_length = 2}), Error);
  EXPECT_THROW(latency_of({.delays = good, .source_length = std::nan("")}), Error);
  EXPECT_THROW(computation_aware_latency_of({.delays = good, .elapsed = too_few, .source_length = 2}), Error);
  EXPECT_THROW(computation_aware_latency_of({.delays = good, .source_length = 2}), Error);
}

TEST(Latency, ASourceOfAnyLengthTakesNoMemory) {
  const std::vector<double> delays = {1e300};
  const std::optional<Latency> latency = latency_of({.delays = delays, .source_length = 1e300});
  ASSERT_TRUE(latency);
  EXPECT_DOUBLE_EQ(latency->al, 1e300);
}

}  // namespace
}  // namespace tandem
