// Sessions that share passes write what each writes alone, in fewer passes, however little room a pass has.
#include "engine/shared_pass.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <deque>

#include "support/random_session.h"

namespace tandem {
namespace {

using testing::collect;
using testing::decode_slowly;
using testing::open_stub_session;
using testing::Random;
using testing::random_options;
using testing::random_words;
using testing::StubNetwork;
using testing::StubOptions;
using testing::Written;

constexpr std::uint64_t kSeed = 7;

/// Counts passes and their largest number of rows.
class CountingNetwork final : public Network {
 public:
  explicit CountingNetwork(int max_rows) : stub_(kSeed, 4096, max_rows) {}
  int max_rows_per_pass() const override { return stub_.max_rows_per_pass(); }
  CacheSpan reserve(int n_slots) override { return stub_.reserve(n_slots); }
  void release(CacheSpan span) override { stub_.release(span); }
  Logits evaluate(std::span<const SessionRows> pass) override {
    int n_rows = 0;
    for (const SessionRows& session : pass) n_rows += static_cast<int>(session.rows.size());
    most_rows = std::max(most_rows, n_rows);
    ++n_passes;
    return stub_.evaluate(pass);
  }

  int n_passes = 0;
  int most_rows = 0;

 private:
  StubNetwork stub_;
};

/// Session i has its own lag, its own prompt and a source of its own.
std::unique_ptr<SessionCore> session_of(Network& network, int i) {
  StubOptions options;
  options.k = i % 4 == 3 ? WaitK::unlimited() : WaitK(1 + i % 4);
  options.target_prefix = 1 + i % 3;
  auto session = open_stub_session(network, options);
  for (int word = 0; word < 2 + i % 5; ++word)
    EXPECT_EQ(session->push_word(std::to_string(1 + (i + word) % 3)), Push::kAccepted);
  session->finish();
  return session;
}

std::string text_of(SessionCore& session) {
  std::string text;
  for (const Event& event : session.poll()) {
    if (event.kind == EventKind::kCommit) text += fmt::format("{}@{}", event.text, event.delay_words);
    if (event.kind == EventKind::kSentence) text += ".";
    EXPECT_NE(event.kind, EventKind::kFailed) << event.text;
  }
  return text;
}

struct Outcome {
  std::vector<std::string> texts;
  int n_passes = 0;
};

Outcome run_alone(int n_sessions) {
  Outcome run;
  for (int i = 0; i < n_sessions; ++i) {
    CountingNetwork network(512);
    const auto session = session_of(network, i);
    while (session->step() == Progress::kMore) {
    }
    run.texts.push_back(text_of(*session));
    run.n_passes += network.n_passes;
  }
  return run;
}

PassBudget budget_of(int max_rows) {
  return {.rows = max_rows, .source_rows = std::max(1, max_rows / 4), .cheap_rows = max_rows / 2};
}

Outcome run_together(int n_sessions, int max_rows) {
  CountingNetwork network(max_rows);
  SharedPass pass(network, budget_of(max_rows));
  std::vector<std::unique_ptr<SessionCore>> sessions;
  std::vector<SessionCore*> open;
  for (int i = 0; i < n_sessions; ++i) {
    sessions.push_back(session_of(network, i));
    open.push_back(sessions.back().get());
  }
  std::vector<Progress> progress;
  for (int rounds = 0; !open.empty(); ++rounds) {
    EXPECT_LT(rounds, 3000);
    pass.step(open, progress);
    EXPECT_EQ(progress.size(), open.size());
    std::vector<SessionCore*> rest;
    for (std::size_t i = 0; i < open.size(); ++i) {
      EXPECT_LT(open[i]->turn(), n_sessions);
      if (progress[i] == Progress::kMore) rest.push_back(open[i]);
    }
    open = rest;
  }
  Outcome run;
  for (const auto& session : sessions) run.texts.push_back(text_of(*session));
  run.n_passes = network.n_passes;
  EXPECT_EQ(pass.n_passes(), network.n_passes);
  EXPECT_LE(network.most_rows, max_rows);
  return run;
}

TEST(SharedPass, WritesWhatEachSessionWritesAlone) {
  const Outcome alone = run_alone(12);
  for (const int max_rows : {6, 8, 40, 512}) {
    const Outcome together = run_together(12, max_rows);
    EXPECT_EQ(together.texts, alone.texts) << max_rows << " rows per pass";
  }
}

TEST(SharedPass, ReadsTheWeightsFarLessOften) {
  EXPECT_LT(run_together(12, 512).n_passes * 3, run_alone(12).n_passes);
}

TEST(SharedPass, ALongSourceTakesNoRoomFromTheOthers) {
  CountingNetwork network(16);
  StubOptions options;
  options.n_slots = 1024;
  const auto slow = open_stub_session(network, options);
  const auto quick = open_stub_session(network, options);
  ASSERT_EQ(slow->push_word("300"), Push::kAccepted);
  ASSERT_EQ(quick->push_word("1"), Push::kAccepted);
  quick->finish();
  slow->finish();
  SessionCore* both[] = {slow.get(), quick.get()};
  SharedPass pass(network, budget_of(16));
  std::vector<Progress> progress;
  for (int i = 0; i < 3; ++i) pass.step(both, progress);
  EXPECT_EQ(slow->counters().target_tokens, 0);
  EXPECT_GT(quick->counters().target_tokens, 0) << "while the long source is still being read";
}

TEST(SharedPass, ACancelledSessionRidesAlongWithoutRows) {
  CountingNetwork network(64);
  const auto one = session_of(network, 0);
  const auto other = session_of(network, 1);
  one->cancel();
  SessionCore* both[] = {one.get(), other.get()};
  SharedPass pass(network, budget_of(64));
  std::vector<Progress> progress;
  pass.step(both, progress);
  EXPECT_EQ(progress[0], Progress::kCancelled);
  EXPECT_EQ(progress[1], Progress::kMore);
  EXPECT_EQ(network.n_passes, 1);
}

/// One of many: what it was told, and what it should write.
struct Client {
  StubOptions options;
  std::unique_ptr<SessionCore> session;
  std::deque<std::pair<int, Last>> words;  // not pushed yet, by their rows
  bool is_cancelled = false;
  std::vector<Written> expected;
  std::vector<Written> written;
};

Client random_client(Network& network, Random& random, std::uint64_t seed) {
  Client client{.options = random_options(random)};
  client.options.n_targets = random.draw(0, 3) > 0 ? 1 : random.draw(2, 3);
  client.options.n_slots = 192;
  client.session = open_stub_session(network, client.options);
  for (int sentence = random.draw(1, 3); sentence > 0; --sentence) {
    const auto words = random_words(random);
    for (std::size_t i = 0; i < words.size(); ++i)
      client.words.emplace_back(words[i], i + 1 == words.size() ? Last::kYes : Last::kNo);
    for (int target = 0; target < client.options.n_targets; ++target)
      client.expected.push_back(decode_slowly(seed, client.options, words, target));
  }
  return client;
}

/// Whether `written` is as far as it goes what was expected.
bool begins(const std::vector<Written>& expected, const std::vector<Written>& written) {
  if (written.size() > expected.size()) return false;
  for (std::size_t i = 0; i < written.size(); ++i) {
    const auto& tokens = written[i].tokens;
    if (tokens.size() > expected[i].tokens.size()) return false;
    if (!std::equal(tokens.begin(), tokens.end(), expected[i].tokens.begin())) return false;
  }
  return true;
}

TEST(SharedPass, HundredsOfSessionsInAnyOrderWriteWhatASlowDecoderWrites) {
  for (unsigned round = 0; round < 4; ++round) {
    Random random(round + 77);
    StubNetwork network(round, 1 << 20, random.draw(24, 96));
    SharedPass pass(network, {.rows = network.max_rows_per_pass(),
                              .source_rows = random.draw(1, 30),
                              .cheap_rows = random.draw(1, 60)});
    const PassCosts costs({{1, 1.0}, {8, random.pick(1.0, 8.0)}});
    if (round % 2 == 0) pass.set_costs(costs);
    std::vector<Client> clients;
    for (int i = 0; i < 300; ++i) clients.push_back(random_client(network, random, round));
    std::vector<Progress> progress;
    std::vector<SessionCore*> stepped;
    std::vector<Client*> open;
    for (Client& client : clients) open.push_back(&client);
    for (int turns = 0; !open.empty(); ++turns) {
      ASSERT_LT(turns, 20'000) << "round " << round;
      stepped.clear();
      for (Client* client : open) {
        if (!client->words.empty() && random.draw(0, 3) == 0) {
          const auto [rows, last] = client->words.front();
          client->words.pop_front();
          ASSERT_EQ(client->session->push_word(std::to_string(rows), last), Push::kAccepted);
          if (client->words.empty()) client->session->finish();
        }
        if (random.draw(0, 400) == 0) {
          client->session->cancel();
          client->is_cancelled = true;
          client->words.clear();
        }
        if (random.draw(0, 4) > 0) stepped.push_back(client->session.get());
      }
      pass.step(stepped, progress);
      std::erase_if(open, [&](Client* client) {
        collect(*client->session, client->written, client->options.n_targets);
        const auto at = std::find(stepped.begin(), stepped.end(), client->session.get());
        if (at == stepped.end()) return false;
        const Progress own = progress[static_cast<std::size_t>(at - stepped.begin())];
        return own == Progress::kFinished || own == Progress::kCancelled;
      });
    }
    for (std::size_t i = 0; i < clients.size(); ++i) {
      const Client& client = clients[i];
      EXPECT_EQ(client.session->counters().rows_twice, 0);
      if (client.is_cancelled)
        EXPECT_TRUE(begins(client.expected, client.written)) << "round " << round << " session " << i;
      else
        EXPECT_EQ(client.written, client.expected) << "round " << round << " session " << i;
    }
  }
}

}  // namespace
}  // namespace tandem
