// However the source arrives, and whatever the engine does ahead of time, the same text is committed with the
// same delays: random sentences, lags, prompts and schedules against a slow decoder that re-encodes
// everything.
#include <gtest/gtest.h>

#include <numeric>
#include <optional>

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
using testing::token_of;
using testing::Written;

/// Steps until the session wants something else than more steps. A session that never does is a bug, not a
/// hang.
Progress step_while_more(SessionCore& session) {
  constexpr int kMostSteps = 20'000;
  for (int i = 0; i < kMostSteps; ++i) {
    const Progress progress = session.step();
    if (progress != Progress::kMore) return progress;
  }
  ADD_FAILURE() << "no end after " << kMostSteps << " steps";
  return Progress::kMore;
}

TEST(Schedule, AnyArrivalWritesWhatASlowDecoderWrites) {
  for (unsigned round = 0; round < 1500; ++round) {
    Random random(round);
    StubOptions options = random_options(random);
    options.n_targets = random.draw(0, 2) > 0 ? 1 : random.draw(2, 3);
    StubNetwork network(round, options.n_slots, random.draw(18, 40));
    auto session = open_stub_session(network, options);
    std::vector<Written> expected;
    std::vector<Written> written;
    for (int sentence = random.draw(1, 3); sentence > 0; --sentence) {
      const auto words = random_words(random);
      for (int target = 0; target < options.n_targets; ++target)
        expected.push_back(decode_slowly(round, options, words, target));
      for (std::size_t i = 0; i < words.size(); ++i) {
        ASSERT_EQ(
            session->push_word(std::to_string(words[i]), i + 1 == words.size() ? Last::kYes : Last::kNo),
            Push::kAccepted);
        for (int steps = random.draw(0, 4); steps > 0; --steps) (void)session->step();
        if (random.draw(0, 2) == 0) collect(*session, written, options.n_targets);
      }
    }
    session->finish();
    (void)step_while_more(*session);
    collect(*session, written, options.n_targets);
    ASSERT_EQ(written.size(), expected.size()) << "seed " << round;
    for (std::size_t i = 0; i < expected.size(); ++i) {
      EXPECT_EQ(written[i].tokens, expected[i].tokens) << "seed " << round << " sentence " << i;
      EXPECT_EQ(written[i].delays, expected[i].delays) << "seed " << round << " sentence " << i;
    }
    EXPECT_EQ(session->counters().rows_twice, 0);
    EXPECT_EQ(session->step(), Progress::kFinished);
  }
}

TEST(Schedule, TargetsOfOneSourceReadItOnceTogether) {
  StubOptions options;
  options.n_targets = 3;
  StubNetwork network(4, options.n_slots);
  auto session = open_stub_session(network, options);
  for (const char* word : {"2", "3", "1", "2"}) ASSERT_EQ(session->push_word(word), Push::kAccepted);
  session->finish();
  ASSERT_EQ(step_while_more(*session), Progress::kFinished);
  EXPECT_EQ(session->counters().source_rows, 1 + 8 + 1) << "as many as one target needs";
  EXPECT_EQ(session->counters().rows_twice, 0);
  std::vector<Written> written;
  collect(*session, written, 3);
  std::int64_t longest = 0;
  for (const Written& target : written) longest = std::max(longest, std::ssize(target.tokens));
  EXPECT_LT(session->counters().passes, 2 * longest) << "their rows share passes";
}

TEST(Schedule, ATargetWithoutRoomEndsAloneAndTheOthersGoOn) {
  int n_one_failed = 0;
  for (unsigned seed = 0; seed < 1000; ++seed) {
    StubOptions options;
    options.n_targets = 2;
    StubNetwork roomy(seed, options.n_slots);
    std::vector<Written> whole;
    auto session = open_stub_session(roomy, options);
    ASSERT_EQ(session->push_word("2", Last::kYes), Push::kAccepted);
    session->finish();
    ASSERT_EQ(step_while_more(*session), Progress::kFinished);
    collect(*session, whole, 2);
    const std::size_t shorter = std::min(whole[0].tokens.size(), whole[1].tokens.size());
    const std::size_t longer = std::max(whole[0].tokens.size(), whole[1].tokens.size());
    if (longer < shorter + 5) continue;

    options.n_slots = static_cast<int>(4 + 3 + 2 * shorter + 2);
    StubNetwork tight(seed, options.n_slots);
    const auto squeezed = open_stub_session(tight, options);
    ASSERT_EQ(squeezed->push_word("2", Last::kYes), Push::kAccepted);
    squeezed->finish();
    ASSERT_EQ(step_while_more(*squeezed), Progress::kFinished);
    const std::size_t short_one = whole[0].tokens.size() == shorter ? 0 : 1;
    std::vector<int> tokens;
    int n_failed = 0;
    for (const Event& event : squeezed->poll()) {
      n_failed += event.kind == EventKind::kFailed ? 1 : 0;
      const bool is_of_short_one = static_cast<std::size_t>(event.target) == short_one;
      if (event.kind == EventKind::kWrite && is_of_short_one) tokens.push_back(token_of(event.text));
    }
    EXPECT_EQ(n_failed, 1);
    EXPECT_EQ(tokens, whole[short_one].tokens) << "seed " << seed;
    ++n_one_failed;
  }
  EXPECT_GT(n_one_failed, 3) << "too few sentences of unlike length to show anything";
}

TEST(Schedule, DelaysNeverGoDownNorPassWhatWasRead) {
  for (unsigned round = 0; round < 300; ++round) {
    Random random(round + 5000);
    const StubOptions options = random_options(random);
    StubNetwork network(round, options.n_slots);
    auto session = open_stub_session(network, options);
    int n_pushed = 0;
    int delay = 0;
    for (int rows : random_words(random)) {
      ASSERT_EQ(session->push_word(std::to_string(rows)), Push::kAccepted);
      ++n_pushed;
      (void)step_while_more(*session);
      for (const Event& event : session->poll()) {
        EXPECT_GE(event.delay_words, delay);
        EXPECT_LE(event.delay_words, n_pushed);
        delay = event.delay_words;
      }
    }
  }
}

TEST(Schedule, AFinishAfterTheLastWordWasReadMakesTheSuffixItsOwnUnit) {
  StubOptions options;
  StubNetwork network(11, options.n_slots);
  auto session = open_stub_session(network, options);
  for (const char* word : {"1", "2"}) {
    ASSERT_EQ(session->push_word(word), Push::kAccepted);
    (void)step_while_more(*session);
  }
  session->finish();
  (void)step_while_more(*session);
  int units_read = 0;
  Written written;
  for (const Event& event : session->poll()) {
    if (event.kind == EventKind::kRead) units_read = event.index + 1;
    if (event.kind == EventKind::kWrite) written.tokens.push_back(token_of(event.text));
    if (event.kind == EventKind::kCommit) written.delays.push_back(event.delay_words);
  }
  options.end_marker = EndMarker::kOwnUnit;
  EXPECT_EQ(units_read, 3) << "two words and the suffix";
  EXPECT_EQ(written, decode_slowly(11, options, {1, 2}));
}

TEST(Schedule, ARunawayTargetEndsAtTheStatedBound) {
  for (unsigned seed = 0; seed < 50; ++seed) {
    StubOptions options;
    options.k = WaitK(1 + static_cast<int>(seed % 4));
    options.target_rows_base = 2;
    StubNetwork network(seed, options.n_slots);
    auto session = open_stub_session(network, options);
    for (const char* word : {"1", "1", "1"}) ASSERT_EQ(session->push_word(word), Push::kAccepted);
    session->finish();
    (void)step_while_more(*session);
    EXPECT_LE(session->counters().target_tokens, 2 + 3 * 5 + 1) << "seed " << seed;
    EXPECT_EQ(session->poll().back().kind, EventKind::kSentence);
  }
}

TEST(Schedule, ASentenceThatDoesNotFitFailsAloneAndTheNextIsTranslated) {
  StubOptions options;
  options.n_slots = 48;
  StubNetwork network(3, options.n_slots);
  auto session = open_stub_session(network, options);
  for (int i = 0; i < 40; ++i) ASSERT_EQ(session->push_word("2"), Push::kAccepted);
  ASSERT_EQ(session->push_word("2", Last::kYes), Push::kAccepted);
  for (const char* word : {"1", "2"}) ASSERT_EQ(session->push_word(word), Push::kAccepted);
  session->finish();
  (void)step_while_more(*session);
  const auto events = session->poll();
  const auto failed = std::count_if(events.begin(), events.end(),
                                    [](const Event& e) { return e.kind == EventKind::kFailed; });
  EXPECT_EQ(failed, 1);
  EXPECT_EQ(events.back().kind, EventKind::kSentence);
  EXPECT_EQ(events.back().sentence, 1);
}

/// What a sentence of words of so many rows comes to: its tokens, or nothing if it did not fit.
std::optional<Written> translate_in(int n_slots, StubOptions options, unsigned seed,
                                    const std::vector<int>& words) {
  options.n_slots = n_slots;
  StubNetwork network(seed, n_slots);
  auto session = open_stub_session(network, options);
  for (std::size_t i = 0; i < words.size(); ++i) {
    EXPECT_EQ(session->push_word(std::to_string(words[i]), i + 1 == words.size() ? Last::kYes : Last::kNo),
              Push::kAccepted);
  }
  session->finish();
  EXPECT_EQ(step_while_more(*session), Progress::kFinished);
  Written written;
  for (const Event& event : session->poll()) {
    if (event.kind == EventKind::kFailed) return std::nullopt;
    if (event.kind == EventKind::kWrite) written.tokens.push_back(token_of(event.text));
    if (event.kind == EventKind::kCommit) written.delays.push_back(event.delay_words);
  }
  return written;
}

TEST(Schedule, NothingDoneAheadCostsASentenceItsPlaceInTheCache) {
  for (unsigned seed = 0; seed < 200; ++seed) {
    Random random(seed + 9000);
    StubOptions options = random_options(random);
    const auto words = random_words(random);
    options.fork = Fork::kNever;
    options.read_ahead = ReadAhead::kNever;
    const auto roomy = translate_in(256, options, seed, words);
    ASSERT_TRUE(roomy.has_value()) << "seed " << seed;
    const int n_source =
        std::accumulate(words.begin(), words.end(), options.source_prefix + options.source_suffix);
    const int n_rows = n_source + options.target_prefix + static_cast<int>(roomy->tokens.size());
    EXPECT_FALSE(translate_in(n_rows - 1, options, seed, words).has_value()) << "seed " << seed;
    for (const Fork fork : {Fork::kNever, Fork::kWhenReady}) {
      for (const ReadAhead read_ahead : {ReadAhead::kNever, ReadAhead::kWhenRoom}) {
        options.fork = fork;
        options.read_ahead = read_ahead;
        EXPECT_EQ(translate_in(n_rows, options, seed, words), roomy) << "seed " << seed;
      }
    }
  }
}

TEST(Schedule, AWordWithoutTokensIsAUnitLikeAnyOther) {
  for (unsigned round = 0; round < 300; ++round) {
    Random random(round + 20000);
    const StubOptions options = random_options(random);
    std::vector<int> words = random_words(random);
    for (int& rows : words) rows *= random.draw(0, 1);
    const auto written = translate_in(256, options, round, words);
    ASSERT_TRUE(written.has_value()) << "seed " << round;
    EXPECT_EQ(*written, decode_slowly(round, options, words)) << "seed " << round;
  }
}

TEST(Schedule, NoSourceAtAllIsNoSentence) {
  StubOptions options;
  StubNetwork network(2, options.n_slots);
  auto session = open_stub_session(network, options);
  EXPECT_EQ(session->push_text(" \n\t "), Push::kAccepted);
  session->end_sentence();
  session->finish();
  EXPECT_EQ(step_while_more(*session), Progress::kFinished);
  EXPECT_TRUE(session->poll().empty());
  EXPECT_EQ(session->counters().passes, 0);
}

/// A network that breaks down once.
class BrokenOnce final : public Network {
 public:
  BrokenOnce(StubNetwork& stub, int at_pass) : stub_(stub), passes_left_(at_pass) {}
  int max_rows_per_pass() const override { return stub_.max_rows_per_pass(); }
  CacheSpan reserve(int n_slots) override { return stub_.reserve(n_slots); }
  void release(CacheSpan span) override { stub_.release(span); }
  Logits evaluate(std::span<const SessionRows> pass) override {
    if (passes_left_-- == 0) throw Error(ErrorCode::kInternal, "broken");
    return stub_.evaluate(pass);
  }

 private:
  StubNetwork& stub_;
  int passes_left_;
};

TEST(Schedule, AfterABrokenPassResetGivesAWorkingSession) {
  for (int at_pass = 0; at_pass < 3; ++at_pass) {
    StubOptions options;
    StubNetwork stub(7, options.n_slots);
    BrokenOnce network(stub, at_pass);
    auto session = open_stub_session(network, options);
    for (const char* word : {"1", "2", "1"}) ASSERT_EQ(session->push_word(word), Push::kAccepted);
    session->finish();
    EXPECT_THROW((void)step_while_more(*session), Error);
    session->reset();
    ASSERT_EQ(session->push_word("2"), Push::kAccepted);
    ASSERT_EQ(session->push_word("1", Last::kYes), Push::kAccepted);
    session->finish();
    EXPECT_EQ(step_while_more(*session), Progress::kFinished);
    Written written;
    for (const Event& event : session->poll()) {
      if (event.kind == EventKind::kWrite) written.tokens.push_back(token_of(event.text));
      if (event.kind == EventKind::kCommit) written.delays.push_back(event.delay_words);
    }
    EXPECT_EQ(written, decode_slowly(7, options, {2, 1})) << "broken at pass " << at_pass;
  }
}

/// Code points count themselves: point t is chosen under min(k + t, N) units, without any question of
/// boundaries.
Written decode_code_points_slowly(std::uint64_t seed, const SourceUnits& source, WaitK k) {
  Written written;
  std::vector<TokenId> target = {TokenId{1}};
  for (int units = 0;;) {
    const int point = static_cast<int>(written.tokens.size());
    units = std::max(units, k.units_for_word(point, source.n_units()));
    const auto visible = static_cast<std::uint64_t>(source.rows_after(units));
    const auto logits = testing::stub_logits(seed, visible, target);
    const int best =
        static_cast<int>(std::max_element(logits.begin() + 2, logits.begin() + 13) - logits.begin());
    if (best == 2 && units < source.n_units()) {
      ++units;
      continue;
    }
    if (best == 2) return written;
    written.tokens.push_back(best);
    written.delays.push_back(source.words_after(units));
    target.push_back(TokenId{best});
  }
}

TEST(Schedule, CodePointsAreCommittedOneByOneUnderTheirOwnVisibility) {
  for (unsigned seed = 0; seed < 300; ++seed) {
    Random random(seed);
    StubOptions options;
    options.k = WaitK(random.draw(1, 5));
    options.end_marker = random.pick(EndMarker::kOwnUnit, EndMarker::kWithLastWord);
    options.target_unit = WordUnit::kCodePoint;
    StubNetwork network(seed, options.n_slots);
    auto session = open_stub_session(network, options);
    const auto words = random_words(random);
    for (std::size_t i = 0; i < words.size(); ++i) {
      const Last last = i + 1 == words.size() ? Last::kYes : Last::kNo;
      ASSERT_EQ(session->push_word(std::to_string(words[i]), last), Push::kAccepted);
      if (random.draw(0, 1) == 0) (void)step_while_more(*session);
    }
    session->finish();
    ASSERT_EQ(step_while_more(*session), Progress::kFinished);
    std::vector<Written> written;
    collect(*session, written);
    const auto source =
        SourceUnits::whole(options.source_prefix, words, options.source_suffix, options.end_marker);
    ASSERT_EQ(written.size(), 1U);
    EXPECT_EQ(written[0], decode_code_points_slowly(seed, source, options.k)) << "seed " << seed;
  }
}

TEST(Schedule, WordsAreNeverBlank) {
  for (unsigned seed = 0; seed < 300; ++seed) {
    StubOptions options;
    options.has_lone_mark = true;
    StubNetwork network(seed, options.n_slots);
    auto session = open_stub_session(network, options);
    for (const char* word : {"1", "2", "1"}) ASSERT_EQ(session->push_word(word), Push::kAccepted);
    session->finish();
    ASSERT_EQ(step_while_more(*session), Progress::kFinished);
    for (const Event& event : session->poll()) {
      if (event.kind != EventKind::kCommit) continue;
      EXPECT_NE(event.text.find_first_not_of(' '), std::string::npos) << "seed " << seed;
    }
  }
}

TEST(Schedule, AWordThatCannotBeTokenisedEndsItsSentenceAlone) {
  StubOptions options;
  StubNetwork network(5, options.n_slots);
  auto session = open_stub_session(network, options);
  ASSERT_EQ(session->push_word("1"), Push::kAccepted);
  ASSERT_EQ(session->push_word("-7"), Push::kAccepted);  // the stub's tokenizer refuses it
  ASSERT_EQ(session->push_word("1", Last::kYes), Push::kAccepted);
  ASSERT_EQ(session->push_word("2", Last::kYes), Push::kAccepted);
  session->finish();
  ASSERT_EQ(step_while_more(*session), Progress::kFinished);
  const auto events = session->poll();
  const auto is_failure = [](const Event& event) { return event.kind == EventKind::kFailed; };
  EXPECT_EQ(std::count_if(events.begin(), events.end(), is_failure), 1);
  EXPECT_EQ(events.back().kind, EventKind::kSentence);
  EXPECT_EQ(events.back().sentence, 1);
}

TEST(Schedule, CancelStopsAndResetBeginsAnew) {
  StubOptions options;
  StubNetwork network(21, options.n_slots);
  auto session = open_stub_session(network, options);
  ASSERT_EQ(session->push_word("1"), Push::kAccepted);
  (void)session->step();
  session->cancel();
  EXPECT_EQ(session->step(), Progress::kCancelled);
  EXPECT_EQ(session->push_word("1"), Push::kClosed);
  session->reset();
  ASSERT_EQ(session->push_word("1", Last::kYes), Push::kAccepted);
  session->finish();
  (void)step_while_more(*session);
  EXPECT_EQ(session->poll().back().kind, EventKind::kSentence);
}

TEST(Schedule, WordsThatAreNotUtf8AreRefusedAndChangeNothing) {
  StubOptions options;
  StubNetwork network(1, options.n_slots);
  auto session = open_stub_session(network, options);
  EXPECT_THROW((void)session->push_word("\xff\xfe"), Error);
  session->finish();
  EXPECT_EQ(session->step(), Progress::kFinished);
}

}  // namespace
}  // namespace tandem
