// What streaming must not change (DESIGN: what must hold). Each test compares passes of one kind with passes
// of another over the same rows; nothing here knows how a pass is computed.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "model/model.h"
#include "model/reference.h"
#include "model/rows.h"
#include "model/tiny_llama.h"

namespace tandem {
namespace {

using testing::distance;
using testing::expect_close;
using testing::TemporaryFolder;
using testing::TestSession;

// f32 weights and cache: what is left is the order of sums.
constexpr float kTolerance = 2e-5F;
// Logits of other rows, or of rows that see something else, differ by far more than this.
constexpr float kClearlyDifferent = 1e-2F;

struct Row {
  bool is_source;
  int token;
  int visible;
};

/// A random pair: source rows and target rows in some order of arrival, each target row seeing no more than
/// is there.
std::vector<Row> random_schedule(std::mt19937& random, int n_source, int n_target, int n_vocab) {
  std::uniform_int_distribution<int> token(3, n_vocab - 1);
  std::vector<Row> rows{{true, token(random), 0}};
  int arrived = 1;
  for (int written = 0; written < n_target || arrived < n_source;) {
    const bool read = arrived < n_source && (written == n_target || random() % 2 == 0);
    rows.push_back({read, token(random), static_cast<int>(random() % static_cast<unsigned>(arrived)) + 1});
    read ? ++arrived : ++written;
  }
  return rows;
}

class NetworkStreaming : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new TemporaryFolder;
    testing::write_tiny_llama(folder_->file("tiny.gguf"));
    model_ = Model::load(folder_->file("tiny.gguf"));
  }
  static void TearDownTestSuite() {
    model_.reset();
    delete folder_;
  }

  int n_vocab() const { return model_->config().n_vocab; }

  std::span<const float> logits_of(std::span<const float> logits, std::size_t row) const {
    const auto n = static_cast<std::size_t>(n_vocab());
    return logits.subspan(row * n, n);
  }

  static void add(TestSession& session, const Row& row) {
    row.is_source ? session.source(row.token) : session.target(row.token, row.visible);
  }

  /// The rows one by one; logits in that order.
  std::vector<float> stream(TestSession& session, std::span<const Row> rows) const {
    std::vector<float> logits;
    for (const Row& row : rows) {
      add(session, row);
      const std::vector<float> some = session.evaluate();
      logits.insert(logits.end(), some.begin(), some.end());
    }
    return logits;
  }

  std::unique_ptr<Network> network(Attention attention = Attention::kFused) const {
    return model_->make_network({.n_threads = 2, .n_slots = 512, .attention = attention});
  }

  static TemporaryFolder* folder_;
  static std::shared_ptr<const Model> model_;
  std::mt19937 random_{20250516};
};

TemporaryFolder* NetworkStreaming::folder_ = nullptr;
std::shared_ptr<const Model> NetworkStreaming::model_;

TEST_F(NetworkStreaming, EqualsOneMaskedBatchForward) {
  for (const Attention attention : {Attention::kFused, Attention::kPlain}) {
    const auto net = network(attention);
    for (int round = 0; round < 5; ++round) {
      const std::vector<Row> rows = random_schedule(random_, 12, 15, n_vocab());
      TestSession streamed(*net, 64, Position::whole(3));
      const std::vector<float> one_by_one = stream(streamed, rows);

      TestSession batch(*net, 100, Position::whole(3));
      for (const bool source : {true, false}) {  // the batch holds the source first
        for (const Row& row : rows) {
          if (row.is_source == source) add(batch, row);
        }
      }
      const std::vector<float> at_once = batch.evaluate();

      std::size_t next_source = 0;
      std::size_t next_target = 12;
      for (std::size_t i = 0; i < rows.size(); ++i) {
        const std::size_t same = rows[i].is_source ? next_source++ : next_target++;
        expect_close(logits_of(one_by_one, i), logits_of(at_once, same), kTolerance,
                     "row " + std::to_string(i));
      }
      streamed.release();
      batch.release();
    }
  }
}

TEST_F(NetworkStreaming, VisibilityAndPhiMatter) {
  const auto net = network();
  const auto last = [&](int visible, Position phi) {
    TestSession session(*net, 16, phi);
    for (const int token : {10, 20, 30, 40}) session.source(token, false);
    session.target(50, visible);
    std::vector<float> logits = session.evaluate();
    session.release();
    return logits;
  };
  const std::vector<float> all = last(4, Position::whole(0));
  EXPECT_GT(distance(all, last(3, Position::whole(0))), kClearlyDifferent) << "a hidden source row is seen";
  EXPECT_GT(distance(all, last(4, Position::whole(7))), kClearlyDifferent) << "phi is ignored";
  EXPECT_GT(distance(all, last(4, Position::from_doubled(1))), kClearlyDifferent / 10)
      << "half positions are rounded";
}

TEST_F(NetworkStreaming, SessionsOfOnePassDoNotMeet) {
  const auto net = network();
  for (int round = 0; round < 3; ++round) {
    std::vector<std::vector<Row>> schedules;
    for (int s = 0; s < 4; ++s) schedules.push_back(random_schedule(random_, 5 + s, 9 - s, n_vocab()));
    std::vector<std::vector<float>> alone;
    for (const auto& rows : schedules) {
      TestSession session(*net, 40);
      alone.push_back(stream(session, rows));
      session.release();
    }

    std::vector<TestSession> sessions;
    for (std::size_t s = 0; s < schedules.size(); ++s) sessions.emplace_back(*net, 40);
    std::vector<std::size_t> done(schedules.size(), 0);
    while (done != std::vector<std::size_t>(schedules.size(), 14)) {
      std::vector<SessionRows> pass;
      std::vector<std::pair<std::size_t, std::size_t>> expected;  // session, row
      for (std::size_t s = 0; s < schedules.size(); ++s) {
        for (std::size_t n = random_() % 4; n > 0 && done[s] < schedules[s].size(); --n) {
          add(sessions[s], schedules[s][done[s]]);
          expected.emplace_back(s, done[s]++);
        }
        pass.push_back(sessions[s].take_rows());
      }
      const Logits logits = net->evaluate(pass);
      ASSERT_EQ(logits.all.size(), expected.size());
      for (std::size_t i = 0; i < expected.size(); ++i) {
        const auto [s, row] = expected[i];
        expect_close(logits.row(static_cast<int>(i)), logits_of(alone[s], row), kTolerance,
                     "session " + std::to_string(s));
      }
    }
    for (TestSession& session : sessions) session.release();
  }
}

TEST_F(NetworkStreaming, DroppedDraftsLeaveNoTrace) {
  const auto net = network();
  const std::vector<Row> rows = random_schedule(random_, 6, 10, n_vocab());
  TestSession clean(*net, 64);
  const std::vector<float> expected = stream(clean, rows);

  TestSession drafting(*net, 64);
  std::vector<float> got;
  for (const Row& row : rows) {
    // A draft in the same pass as the row, and one more row after it that is taken back as well.
    std::vector<Slot> drafts;
    if (!row.is_source) drafts.push_back(drafting.target(row.token, 1, RowKind::kDraft, false));
    add(drafting, row);
    const std::vector<float> some = drafting.evaluate();
    got.insert(got.end(), some.begin(), some.end());
    if (!row.is_source) {
      const Slot wrong = drafting.target(77, row.visible, RowKind::kKept, false);
      drafting.evaluate();
      drafting.timeline().drop(wrong);
    }
    for (const Slot slot : drafts) drafting.timeline().drop(slot);
  }
  expect_close(got, expected, kTolerance, "with drafts");
}

TEST_F(NetworkStreaming, SourceKnowsNothingOfTargets) {
  const auto net = network();
  const auto source_logits = [&](int target_token) {
    TestSession session(*net, 64);
    std::vector<float> logits;
    for (const int token : {11, 22, 33, 44}) {
      session.source(token);
      session.target(target_token, session.timeline().n_source_rows(), RowKind::kKept, false);
      const std::vector<float> some = session.evaluate();
      logits.insert(logits.end(), some.begin(), some.end());
    }
    session.release();
    return logits;
  };
  EXPECT_EQ(source_logits(55), source_logits(66)) << "equal to the bit: same rows, same kernels";
}

TEST_F(NetworkStreaming, HalfPositionsTurnHalfAsFar) {
  // Two rows at 0 and 1/2 in a model with base frequency f see each other as rows at 0 and 1 would with every
  // angle halved; with whole positions doubled angles would show. Distances alone matter, so shifting both by
  // 1/2 changes nothing.
  const auto net = network();
  const auto last = [&](Position phi) {
    TestSession session(*net, 16, phi);
    session.target(10, 0, RowKind::kKept, false);
    session.target(20, 0);
    std::vector<float> logits = session.evaluate();
    session.release();
    return logits;
  };
  expect_close(last(Position::from_doubled(1)), last(Position::whole(0)), kTolerance, "shift by a half");
  expect_close(last(Position::from_doubled(257)), last(Position::whole(0)), kTolerance, "shift by 128.5");
}

TEST_F(NetworkStreaming, FormerOwnersOfASpanLeaveNothing) {
  const auto net = model_->make_network({.n_slots = 64});
  const std::vector<Row> rows = random_schedule(random_, 4, 6, n_vocab());
  TestSession first(*net, 64);
  const std::vector<float> expected = stream(first, rows);
  first.release();
  TestSession other(*net, 64);
  for (int i = 0; i < 60; ++i) other.source(5 + i, false);
  other.evaluate();
  other.release();
  TestSession again(*net, 64);
  const std::vector<float> got = stream(again, rows);
  EXPECT_EQ(got, expected) << "equal to the bit";
}

TEST_F(NetworkStreaming, RefusesWhatWouldMakeGgmlAbort) {
  const auto net = model_->make_network({.n_slots = 64, .max_rows_per_pass = 4});
  TestSession session(*net, 8);
  EXPECT_THROW(
      {
        session.source(n_vocab());
        session.evaluate();
      },
      Error);
  EXPECT_THROW(
      {
        session.source(-1);
        session.evaluate();
      },
      Error);
  for (int i = 0; i < 5; ++i) session.source(5);
  EXPECT_THROW(session.evaluate(), Error) << "more rows than a pass may have";
  std::vector<SessionRows> foreign(1);
  foreign[0].span = {0, 64};
  foreign[0].rows.resize(1);
  EXPECT_THROW((void)net->evaluate(foreign), Error) << "a span that nobody reserved";
  EXPECT_TRUE(net->evaluate({}).all.empty());
}

TEST_F(NetworkStreaming, OptionsAreChecked) {
  EXPECT_THROW((void)model_->make_network({.n_threads = 0}), Error);
  EXPECT_THROW((void)model_->make_network({.n_slots = 0}), Error);
  EXPECT_THROW((void)model_->make_network({.max_rows_per_pass = 0}), Error);
}

}  // namespace
}  // namespace tandem
