// Live sessions from many threads over one compute thread: each writes what it writes alone, whatever the
// others do, and every way to end is an end.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <random>
#include <thread>

#include "engine/service_core.h"
#include "support/stub_session.h"

namespace tandem {
namespace {

using namespace std::chrono_literals;
using testing::open_stub_session;
using testing::StubNetwork;
using testing::StubOptions;

constexpr std::uint64_t kSeed = 7;
constexpr auto kLong = 20s;  // nothing here takes so long unless it hangs

/// A service on the stub; `k` is the session's.
class StubService {
 public:
  explicit StubService(std::unique_ptr<Network> network = std::make_unique<StubNetwork>(kSeed, 1 << 20, 64))
      : network_(std::move(network)),
        pass_(*network_, {.rows = 64, .source_rows = 16, .cheap_rows = 32}),
        core_(std::make_unique<ServiceCore>([this](const SessionOptions& options) { return make(options); },
                                            pass_)) {}

  std::shared_ptr<LiveCore> open(int k = 1, LiveOptions live = {}) {
    return core_->open({.target_languages = {"de"}, .k = k}, std::move(live));
  }
  ServiceCore& core() { return *core_; }
  void end() { core_.reset(); }
  Network& network() { return *network_; }

 private:
  std::unique_ptr<SessionCore> make(const SessionOptions& options) {
    if (options.k > 100) throw Error(ErrorCode::kInvalidArgument, "no such k");
    StubOptions stub;
    stub.k = WaitK(options.k);
    return open_stub_session(*network_, stub);
  }

  std::unique_ptr<Network> network_;
  SharedPass pass_;
  std::unique_ptr<ServiceCore> core_;
};

/// Holds every pass up until it is let through, and may break it.
class GatedNetwork final : public Network {
 public:
  int max_rows_per_pass() const override { return stub_.max_rows_per_pass(); }
  CacheSpan reserve(int n_slots) override { return stub_.reserve(n_slots); }
  void release(CacheSpan span) override { stub_.release(span); }
  Logits evaluate(std::span<const SessionRows> pass) override {
    ++n_passes;
    gate.wait(false);
    if (breaks) throw Error(ErrorCode::kInternal, "the device is gone");
    return stub_.evaluate(pass);
  }

  std::atomic<bool> gate = true;
  std::atomic<bool> breaks = false;
  std::atomic<int> n_passes = 0;

  void open_gate() {
    gate = true;
    gate.notify_all();
  }

 private:
  StubNetwork stub_{kSeed, 1 << 20, 64};
};

std::string text_of(std::span<const Event> events) {
  std::string text;
  for (const Event& event : events) {
    if (event.kind == EventKind::kCommit) text += fmt::format("{}@{}", event.text, event.delay_words);
    if (event.kind == EventKind::kSentence) text += ".";
  }
  return text;
}

/// All that a session writes until it is over.
std::string rest_of(LiveCore& session) {
  std::vector<Event> all;
  const auto start = std::chrono::steady_clock::now();
  while (session.wait_for(100ms)) {
    for (Event& event : session.poll()) all.push_back(std::move(event));
    if (std::chrono::steady_clock::now() - start > kLong) {
      ADD_FAILURE() << "the session does not end";
      break;
    }
  }
  return text_of(all);
}

bool comes_true(const std::function<bool()>& condition) {
  const auto start = std::chrono::steady_clock::now();
  while (!condition()) {
    if (std::chrono::steady_clock::now() - start > kLong) return false;
    std::this_thread::sleep_for(1ms);
  }
  return true;
}

std::vector<std::string> words_of(unsigned seed) {
  std::mt19937 random(seed);
  std::vector<std::string> words(1 + random() % 12);
  for (auto& word : words) word = std::to_string(1 + random() % 3);
  return words;
}

std::string alone(int k, const std::vector<std::string>& words) {
  StubOptions options;
  options.k = WaitK(k);
  StubNetwork network(kSeed, options.n_slots);
  const auto session = open_stub_session(network, options);
  for (std::size_t i = 0; i < words.size(); ++i)
    EXPECT_EQ(session->push_word(words[i], i + 1 == words.size() ? Last::kYes : Last::kNo), Push::kAccepted);
  session->finish();
  while (session->step() == Progress::kMore) {
  }
  return text_of(session->poll());
}

TEST(Service, SessionsOfManyThreadsWriteWhatEachWritesAlone) {
  constexpr unsigned kThreads = 8;
  constexpr unsigned kSessionsEach = 25;
  StubService service;
  std::vector<std::thread> threads;
  for (unsigned thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&service, thread] {
      for (unsigned i = 0; i < kSessionsEach; ++i) {
        const unsigned seed = thread * 1000 + i;
        const int k = 1 + static_cast<int>(seed % 4);
        const auto words = words_of(seed);
        const auto session = service.open(k, {.priority = static_cast<int>(i % 3)});
        for (std::size_t w = 0; w < words.size(); ++w) {
          const Last last = w + 1 == words.size() ? Last::kYes : Last::kNo;
          ASSERT_EQ(session->push_word(words[w], last), Push::kAccepted);
          if (seed % 2 == 0) std::this_thread::yield();
        }
        session->finish();
        EXPECT_EQ(rest_of(*session), alone(k, words)) << seed;
        EXPECT_EQ(session->state(), LiveState::kFinished);
        EXPECT_EQ(session->counters().rows_twice, 0);
      }
    });
  }
  for (auto& thread : threads) thread.join();
}

TEST(Service, AFullQueueInFrontIsSaidAndNothingIsLost) {
  auto gated = std::make_unique<GatedNetwork>();
  GatedNetwork& network = *gated;
  network.gate = false;
  StubService service(std::move(gated));
  const auto session = service.open(1, {.most_words = 4});
  ASSERT_EQ(session->push_word("1"), Push::kAccepted);
  ASSERT_TRUE(comes_true([&] { return network.n_passes > 0; })) << "the compute thread is held in a pass";
  std::vector<std::string> words = {"1"};
  for (;;) {
    const std::string word = std::to_string(1 + words.size() % 3);
    if (session->push_word(word) == Push::kFull) break;
    words.push_back(word);
    ASSERT_LT(words.size(), 100U);
  }
  EXPECT_EQ(words.size(), 1U + 4U);
  network.open_gate();
  ASSERT_TRUE(comes_true([&] { return session->push_word("2", Last::kYes) == Push::kAccepted; }));
  words.emplace_back("2");
  session->finish();
  EXPECT_EQ(rest_of(*session), alone(1, words));
}

TEST(Service, WhoDoesNotPollRestsAndHoldsNobodyUp) {
  StubService service;
  const auto silent = service.open(1, {.most_events = 1});
  const auto words = words_of(3);
  for (int i = 0; i < 3; ++i) {
    for (const auto& word : words) ASSERT_EQ(silent->push_word(word), Push::kAccepted);
    silent->end_sentence();
  }
  silent->finish();
  for (unsigned seed = 0; seed < 20; ++seed) {
    const auto other = service.open(2);
    for (const auto& word : words_of(seed)) ASSERT_EQ(other->push_word(word), Push::kAccepted);
    other->finish();
    (void)rest_of(*other);
    EXPECT_EQ(other->state(), LiveState::kFinished);
  }
  EXPECT_EQ(silent->state(), LiveState::kLive);
  EXPECT_LT(silent->counters().passes, 4) << "it rests after its first events";
  const std::string text = rest_of(*silent);
  EXPECT_EQ(std::count(text.begin(), text.end(), '.'), 3) << "and goes on when somebody polls";
}

TEST(Service, SessionsWithNothingToDoAreNotLookedAt) {
  StubService service;
  std::vector<std::shared_ptr<LiveCore>> idle;
  for (int i = 0; i < 300; ++i) {
    idle.push_back(service.open());
    ASSERT_EQ(idle.back()->push_word("1"), Push::kAccepted);
    ASSERT_TRUE(idle.back()->wait_for(kLong));
  }
  const std::size_t before = service.core().most_looked_at();
  EXPECT_LT(before, 5U) << "those before have been waiting for their next word";
  const auto busy = service.open();
  for (const auto& word : words_of(1)) ASSERT_EQ(busy->push_word(word), Push::kAccepted);
  busy->finish();
  (void)rest_of(*busy);
  EXPECT_LT(service.core().most_looked_at(), 5U);
}

TEST(Service, ADeadlineEndsASessionWhetherItWorksOrNot) {
  StubService service;
  const auto idle = service.open(1, {.deadline = std::chrono::steady_clock::now() + 30ms});
  const auto late = service.open(1, {.deadline = std::chrono::steady_clock::now() - 1s});
  const auto other = service.open(1, {.deadline = std::chrono::steady_clock::now() + 1h});
  EXPECT_TRUE(comes_true([&] { return idle->state() == LiveState::kExpired; }));
  EXPECT_TRUE(comes_true([&] { return late->state() == LiveState::kExpired; }));
  EXPECT_EQ(idle->push_word("1"), Push::kClosed);
  EXPECT_FALSE(idle->wait_for(1ms));
  EXPECT_EQ(other->state(), LiveState::kLive);
}

TEST(Service, CancelKeepsWhatIsCommittedAndEndsTheRest) {
  StubService service;
  const auto session = service.open();
  for (const auto& word : {"1", "2", "1"}) ASSERT_EQ(session->push_word(word), Push::kAccepted);
  ASSERT_TRUE(session->wait_for(kLong));
  session->cancel();
  EXPECT_EQ(session->push_word("1"), Push::kClosed);
  EXPECT_TRUE(comes_true([&] { return session->state() == LiveState::kCancelled; }));
  EXPECT_FALSE(session->poll().empty());
  session->cancel();
  EXPECT_EQ(session->state(), LiveState::kCancelled);
}

TEST(Service, ABrokenPassEndsItsSessionsAndNoOthers) {
  auto gated = std::make_unique<GatedNetwork>();
  GatedNetwork& network = *gated;
  StubService service(std::move(gated));
  const auto idle = service.open();
  const auto unlucky = service.open();
  network.breaks = true;
  ASSERT_EQ(unlucky->push_word("1"), Push::kAccepted);
  ASSERT_TRUE(comes_true([&] { return unlucky->state() == LiveState::kBroken; }));
  EXPECT_EQ(unlucky->error(), "the device is gone");
  network.breaks = false;
  const auto words = words_of(5);
  for (std::size_t i = 0; i < words.size(); ++i) {
    const Last last = i + 1 == words.size() ? Last::kYes : Last::kNo;
    ASSERT_EQ(idle->push_word(words[i], last), Push::kAccepted);
  }
  idle->finish();
  EXPECT_EQ(rest_of(*idle), alone(1, words));
  EXPECT_EQ(idle->state(), LiveState::kFinished);
}

TEST(Service, SessionsMayOutliveTheirService) {
  StubService service;
  const auto session = service.open();
  ASSERT_EQ(session->push_word("2"), Push::kAccepted);
  service.end();
  EXPECT_EQ(session->state(), LiveState::kCancelled);
  EXPECT_EQ(session->push_word("1"), Push::kClosed);
  session->cancel();
  (void)session->poll();
  EXPECT_FALSE(session->wait_for(1ms));
}

TEST(Service, WhatOpeningThrowsReachesTheCaller) {
  StubService service;
  EXPECT_THROW((void)service.open(101), Error);
  EXPECT_THROW((void)service.open(1, {.priority = 1001}), Error);
  EXPECT_EQ(service.open(1)->state(), LiveState::kLive);
}

TEST(Service, BadUtf8IsRefusedWhereItIsPushed) {
  StubService service;
  const auto session = service.open();
  EXPECT_THROW((void)session->push_word("\xff"), Error);
  EXPECT_EQ(session->state(), LiveState::kLive);
}

TEST(Service, ChangesAreTold) {
  StubService service;
  std::atomic<int> n_changes = 0;
  const auto session = service.open(1, {.on_change = [&] { ++n_changes; }});
  ASSERT_EQ(session->push_word("1", Last::kYes), Push::kAccepted);
  session->finish();
  (void)rest_of(*session);
  service.end();
  EXPECT_GE(n_changes, 2) << "events, and the end";
}

/// Pushes, polls, cancels and drops from several threads at random while passes run; the thread sanitizer
/// looks on.
TEST(Service, RandomUseFromManyThreadsEndsInOrder) {
  StubService service;
  std::vector<std::thread> threads;
  for (unsigned thread = 0; thread < 6; ++thread) {
    threads.emplace_back([&service, thread] {
      std::mt19937 random(thread);
      for (int i = 0; i < 40; ++i) {
        LiveOptions live{.priority = static_cast<int>(random() % 5) - 2,
                         .most_words = 1 + random() % 8,
                         .most_events = 1 + random() % 30};
        if (random() % 5 == 0)
          live.deadline = std::chrono::steady_clock::now() + std::chrono::microseconds(random() % 3000);
        auto session = service.open(1 + static_cast<int>(random() % 4), std::move(live));
        std::thread reader([&session] {
          while (session->wait_for(kLong)) (void)session->poll();
        });
        for (const auto& word : words_of(static_cast<unsigned>(random()))) {
          while (session->push_word(word) == Push::kFull) std::this_thread::yield();
          if (random() % 40 == 0) session->cancel();
        }
        if (random() % 4 == 0)
          session->cancel();
        else
          session->finish();
        reader.join();
        EXPECT_NE(session->state(), LiveState::kLive);
        EXPECT_NE(session->state(), LiveState::kBroken) << session->error();
      }
    });
  }
  for (auto& thread : threads) thread.join();
}

}  // namespace
}  // namespace tandem
