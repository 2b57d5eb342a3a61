// What is allocated between two passes, counted at operator new: a program of its own, because the counter
// replaces it.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "engine/shared_pass.h"
#include "model/model.h"
#include "model/rows.h"
#include "model/tiny_llama.h"
#include "numeric/block_products.h"
#include "support/counted_new.h"
#include "support/stub_session.h"

namespace tandem {
namespace {

using testing::n_allocations;

/// Answers with rows that it has had from the beginning, so that all that is counted is the engine's.
class ReadyNetwork final : public Network {
 public:
  ReadyNetwork() {
    for (std::uint64_t i = 0; i < kRows; ++i) {
      logits_[i] = testing::stub_logits(5, i, {});
      logits_[i][2] = -1.0F;  // the end is not what is looked at here
      rows_[i] = logits_[i];
    }
  }
  int max_rows_per_pass() const override { return kRows; }
  CacheSpan reserve(int n_slots) override { return {.begin = n_slots * n_reserved_++, .size = n_slots}; }
  void release(CacheSpan) override {}
  Logits evaluate(std::span<const SessionRows>) override {
    next_ = (next_ + 7) % (kRows / 2);
    return {std::span(rows_).subspan(next_)};
  }

 private:
  static constexpr std::size_t kRows = 128;
  std::array<std::vector<float>, kRows> logits_;
  std::array<std::span<const float>, kRows> rows_;
  std::size_t next_ = 0;
  int n_reserved_ = 0;
};

TEST(Allocations, APassOfSessionsUnderWayMakesNone) {
  constexpr int kSessions = 8, kFirstPasses = 20, kPasses = 300;
  ReadyNetwork network;
  SharedPass pass(network, {});
  std::vector<std::unique_ptr<SessionCore>> sessions;
  std::vector<SessionCore*> all;
  for (int i = 0; i < kSessions; ++i) {
    sessions.push_back(testing::open_stub_session(network, {.k = WaitK(3), .n_slots = 4096}));
    all.push_back(sessions.back().get());
    for (int word = 0; word < 400; ++word) sessions.back()->push_word("2");
  }
  std::vector<Progress> progress;
  for (int i = 0; i < kPasses; ++i) {
    const long n_before = n_allocations();
    pass.step(all, progress);
    const long n_made = n_allocations() - n_before;
    ASSERT_TRUE(n_made == 0 || i < kFirstPasses) << n_made << " in pass " << i;
    for (SessionCore* session : all) session->poll();  // what is written is handed over, strings and all
  }
  for (SessionCore* session : all) EXPECT_GE(session->counters().target_tokens, kPasses - 10);
}

/// Eight sessions, a row or two more of each in every pass, so that every pass is another graph. Returns the
/// most allocations of one pass.
long most_allocations(Network& network) {
  constexpr int kPasses = 40;
  std::vector<testing::TestSession> sessions;
  for (int i = 0; i < 8; ++i) sessions.emplace_back(network, 256);
  long most = 0;
  for (int i = 0; i < kPasses; ++i) {
    std::vector<SessionRows> pass;
    for (testing::TestSession& session : sessions) {
      for (int row = 0; row <= i % 2; ++row) session.source(5 + row);
      pass.push_back(session.take_rows());
    }
    const long n_before = n_allocations();
    (void)network.evaluate(pass);
    most = std::max(most, n_allocations() - n_before);
  }
  for (testing::TestSession& session : sessions) session.release();
  return most;
}

/// ggml's own are made with malloc and not counted.
TEST(Allocations, APassOverWeightsMakesNone) {
  const testing::TemporaryFolder folder;
  testing::write_tiny_llama(folder.file("q8.gguf"), {}, "q8_0");
  const auto model = Model::load(folder.file("q8.gguf"));
  for (const bool is_wide : {false, true}) {
    if (is_wide && !has_block_products()) GTEST_SKIP() << "this CPU has no products in blocks";
    const auto network =
        model->make_network({.n_threads = 1, .n_slots = 2048, .cache_type = CacheType::kF16});
    if (is_wide) {
      ASSERT_TRUE(network->widen(nullptr));
      network->set_wide_rows(1);
    }
    EXPECT_GT(most_allocations(*network), 0) << "at first it makes room";
    EXPECT_EQ(most_allocations(*network), 0) << (is_wide ? "wide" : "not wide");
  }
}

}  // namespace
}  // namespace tandem
