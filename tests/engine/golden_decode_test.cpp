// Whole decoding traces under wait-k (tests/golden/decode), with the stub in the model's place: the same
// tokens, visibilities and delays whether the engine drafts or forks, reads ahead or not; and without forks
// also the same drafts, in the same order as a plain decoder goes.
#include <gtest/gtest.h>

#include "support/golden.h"
#include "support/stub_session.h"

namespace tandem {
namespace {

using testing::open_stub_session;
using testing::StubNetwork;
using testing::StubOptions;

struct Outcome {
  std::vector<int> tokens;
  std::vector<int> visible;
  std::vector<int> delays;
  int units_read = 0;
  Counters counters;
};

std::vector<int> ints(const boost::json::value& array) {
  std::vector<int> out;
  for (const auto& item : array.as_array()) out.push_back(static_cast<int>(item.as_int64()));
  return out;
}

int token_of(const std::string& piece) {
  const auto& bytes = testing::stub_bytes();
  return static_cast<int>(std::find(bytes.begin(), bytes.end(), piece) - bytes.begin());
}

/// Target rows' visibilities by index, while the sentence is still there.
void record_visible(const SessionCore& session, std::vector<int>& visible) {
  for (const RowPlace& row : session.timeline().rows()) {
    if (row.group.is_source() || row.kind != RowKind::kKept) continue;
    visible.resize(std::max(visible.size(), static_cast<std::size_t>(row.index) + 1));
    visible[static_cast<std::size_t>(row.index)] = row.visible;
  }
}

/// Remembers the last target row of all: the session clears its timeline with the sentence's end.
class RecordingNetwork final : public Network {
 public:
  explicit RecordingNetwork(StubNetwork& stub) : stub_(stub) {}
  int max_rows_per_pass() const override { return stub_.max_rows_per_pass(); }
  CacheSpan reserve(int n_slots) override { return stub_.reserve(n_slots); }
  void release(CacheSpan span) override { stub_.release(span); }
  Logits evaluate(std::span<const SessionRows> pass) override {
    for (const PassRow& row : pass[0].rows) {
      if (row.place.group.is_source()) continue;
      last_target_row = row.place;
    }
    return stub_.evaluate(pass);
  }

  RowPlace last_target_row;

 private:
  StubNetwork& stub_;
};

Outcome run(const boost::json::value& in, Fork fork, ReadAhead read_ahead, Fuse fuse = Fuse::kWhenReady) {
  StubOptions options;
  options.k = in.at("k").is_string() ? WaitK::unlimited() : WaitK(static_cast<int>(in.at("k").as_int64()));
  options.source_prefix = static_cast<int>(in.at("source_prefix").as_int64());
  options.source_suffix = static_cast<int>(in.at("source_suffix").as_int64());
  options.target_prefix = static_cast<int>(in.at("target_prefix").as_int64());
  options.end_marker =
      in.at("end_marker").as_string() == "own_unit" ? EndMarker::kOwnUnit : EndMarker::kWithLastWord;
  options.fuse = fuse;
  options.fork = fork;
  options.read_ahead = read_ahead;
  StubNetwork stub(static_cast<std::uint64_t>(in.at("seed").as_int64()), options.n_slots);
  RecordingNetwork network(stub);
  auto session = open_stub_session(network, options);
  const auto words = ints(in.at("source_words"));
  for (std::size_t i = 0; i < words.size(); ++i) {
    EXPECT_EQ(session->push_word(std::to_string(words[i]), i + 1 == words.size() ? Last::kYes : Last::kNo),
              Push::kAccepted);
  }
  session->finish();
  Outcome outcome;
  Progress progress = Progress::kMore;
  constexpr int kMostSteps = 20'000;  // a session without an end is a failure, not a hang
  for (int i = 0; i < kMostSteps && progress == Progress::kMore; ++i) {
    progress = session->step();
    record_visible(*session, outcome.visible);
  }
  EXPECT_EQ(progress, Progress::kFinished);
  // The last row goes with its sentence inside the last step.
  outcome.visible.resize(static_cast<std::size_t>(network.last_target_row.index));
  outcome.visible.push_back(network.last_target_row.visible);
  for (const Event& event : session->poll()) {
    EXPECT_NE(event.kind, EventKind::kFailed) << event.text;
    if (event.kind == EventKind::kWrite) outcome.tokens.push_back(token_of(event.text));
    if (event.kind == EventKind::kCommit) outcome.delays.push_back(event.delay_words);
    if (event.kind == EventKind::kRead) outcome.units_read = event.index + 1;
  }
  outcome.counters = session->counters();
  return outcome;
}

class GoldenDecode : public ::testing::TestWithParam<std::filesystem::path> {};

TEST_P(GoldenDecode, TokensVisibilitiesAndDelaysAgreeHoweverTheWorkIsOrdered) {
  const auto golden = testing::read_json(GetParam());
  for (const Fork fork : {Fork::kNever, Fork::kWhenReady}) {
    for (const ReadAhead read_ahead : {ReadAhead::kNever, ReadAhead::kWhenRoom}) {
      for (const Fuse fuse : {Fuse::kNever, Fuse::kWhenReady}) {
        const Outcome outcome = run(golden.at("inputs"), fork, read_ahead, fuse);
        EXPECT_EQ(outcome.tokens, ints(golden.at("tokens")));
        EXPECT_EQ(outcome.visible, ints(golden.at("visible")));
        EXPECT_EQ(outcome.delays, ints(golden.at("delays")));
        EXPECT_EQ(outcome.units_read, golden.at("units_read").as_int64());
        EXPECT_EQ(outcome.counters.rows_twice, 0);
      }
    }
  }
}

TEST_P(GoldenDecode, APlainDecoderDraftsAsOftenAsTheTrace) {
  const auto golden = testing::read_json(GetParam());
  const Outcome outcome = run(golden.at("inputs"), Fork::kNever, ReadAhead::kNever);
  std::int64_t drafts = 0;
  std::int64_t rows = 0;
  for (const auto& action : golden.at("trace").as_array()) {
    drafts += action.at(0).as_string() == "DRAFT" ? 1 : 0;
    rows += action.at(0).as_string() == "DRAFT" || action.at(0).as_string() == "ROW" ? 1 : 0;
  }
  EXPECT_EQ(drafts, golden.at("drafts_dropped").as_int64());
  EXPECT_EQ(outcome.counters.passes, rows) << "one pass per target row: each READ rides with one";
}

INSTANTIATE_TEST_SUITE_P(Decode, GoldenDecode, ::testing::ValuesIn(testing::golden_files("decode", ".json")));

}  // namespace
}  // namespace tandem
