// The load generator on a small random model, with a clock on which every step takes one second: what it
// counts and times is compared with sessions that are run by hand.
#include "eval/session_load.h"

#include <gmock/gmock.h>

#include <map>
#include <numeric>
#include <set>

#include "model/tiny_llama.h"

namespace tandem {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;
using testing::TemporaryFolder;

/// A look at the clock is a second later than the one before; waiting costs no look.
class StepClock {
 public:
  LoadClock clock() {
    return {.now = [this] { return ++n_looks_, time_++; },
            .wait_until =
                [this](double time) {
                  waits.push_back(time);
                  time_ = time;
                }};
  }

  int n_steps() const { return n_looks_ - 1 - static_cast<int>(waits.size()); }

  std::vector<double> waits;

 private:
  double time_ = 0;
  int n_looks_ = 0;
};

std::vector<LoadSentence> short_text() {
  return {{"text:1", {"A", "man", "sees", "a", "dog."}},
          {"text:2", {"Two", "words"}},
          {"text:3", {"The", "dog", "number", "7", "sees", "a", "man", "in", "a", "red", "house."}},
          {"text:4", {"No."}},
          {"text:5", {"A", "woman", "is", "in", "the", "house."}}};
}

/// A sentence translated by a session of its own, by hand.
struct Alone {
  std::string text;
  std::vector<double> steps;  // per committed word, since the one before
  Counters counters;
};

class SessionLoadTest : public ::testing::Test {
 protected:
  SessionLoadTest() : text_(short_text()) {
    load_.text = text_;
    load_.session.target_languages = {"de"};
    load_.session.k = 2;
    load_.n_sentences = 3;
    load_.clock = clock_.clock();
    load_.on_translation = [this](const LoadTranslation& done) {
      translations_[done.session].push_back({done.sentence, std::string(done.text)});
    };
  }

  static Engine make_engine(int n_sessions, int n_slots = 256) {
    static const TemporaryFolder folder;
    static const std::string path = [] {
      std::string file = folder.file("tiny.gguf");
      testing::write_tiny_llama(file, {}, testing::add_stream_metadata);
      return file;
    }();
    // Costs that are given, not measured: two engines must choose alike, or their steps do not compare.
    return Engine::load(path, {.n_threads = 1,
                               .session_slots = n_slots,
                               .max_sessions = n_sessions,
                               .pass_costs = {{.rows = 1, .ms = 1}, {.rows = 64, .ms = 1}}});
  }

  LoadResult run(int n_sessions) {
    load_.n_sessions = n_sessions;
    Engine engine = make_engine(n_sessions);
    auto result = run_load(engine, load_);
    EXPECT_TRUE(result);
    return result.value_or(LoadResult{});
  }

  Alone translate_alone(const LoadSentence& sentence) {
    Session session = alone_.open(load_.session);
    for (std::size_t i = 0; i < sentence.words.size(); ++i) {
      const Last last = i + 1 == sentence.words.size() ? Last::kYes : Last::kNo;
      EXPECT_EQ(session.push_word(sentence.words[i], last), Push::kAccepted);
    }
    Alone alone;
    int n_steps = 0, at_commit = 0;
    for (bool has_ended = false; !has_ended;) {
      EXPECT_EQ(session.step(), Progress::kMore);
      ++n_steps;
      for (const Event& event : session.poll()) {
        has_ended |= event.kind == EventKind::kSentence;
        if (event.kind != EventKind::kCommit) continue;
        alone.text += alone.text.empty() && event.text.starts_with(' ') ? event.text.substr(1) : event.text;
        alone.steps.push_back(n_steps - at_commit);
        at_commit = n_steps;
      }
    }
    alone.counters = session.counters();
    return alone;
  }

  struct Translation {
    std::size_t sentence;
    std::string text;
  };

  std::vector<LoadSentence> text_;
  SessionLoad load_;
  StepClock clock_;
  std::map<int, std::vector<Translation>> translations_;
  Engine alone_ = make_engine(1);
};

TEST_F(SessionLoadTest, OneSessionCountsAndTakesWhatItsSentencesTakeByHand) {
  const LoadResult result = run(1);
  std::vector<double> steps;
  Counters sum;
  for (int i = 0; i < 3; ++i) {
    const Alone alone = translate_alone(text_[i]);
    steps.insert(steps.end(), alone.steps.begin(), alone.steps.end());
    sum.passes += alone.counters.passes;
    sum.rows += alone.counters.rows;
    sum.target_tokens += alone.counters.target_tokens;
  }
  ASSERT_GT(steps.size(), 5u);
  EXPECT_EQ(result.commit_seconds, steps);
  EXPECT_EQ(result.n_words, static_cast<std::int64_t>(steps.size()));
  EXPECT_EQ(result.n_sentences, 3);
  EXPECT_EQ(result.n_passes, sum.passes);
  EXPECT_EQ(result.n_rows, sum.rows);
  EXPECT_EQ(result.n_tokens, sum.target_tokens);
  EXPECT_EQ(result.seconds, clock_.n_steps());
}

TEST_F(SessionLoadTest, EverySessionWritesWhatItWritesAlone) {
  constexpr int kSessions = 7;  // more than sentences
  const LoadResult result = run(kSessions);
  std::int64_t n_ended = 0;
  for (int session = 0; session < kSessions; ++session) {
    ASSERT_GE(translations_[session].size(), 3u);
    for (std::size_t i = 0; i < translations_[session].size(); ++i, ++n_ended) {
      const Translation& translation = translations_[session][i];
      EXPECT_EQ(translation.sentence, (static_cast<std::size_t>(session) + i) % text_.size());
      EXPECT_EQ(translation.text, translate_alone(text_[translation.sentence]).text);
    }
  }
  EXPECT_EQ(result.n_sentences, n_ended);
}

TEST_F(SessionLoadTest, APassThatServesManyCountsOnce) {
  constexpr int kSessions = 5;
  const LoadResult result = run(kSessions);
  EXPECT_EQ(result.n_passes, clock_.n_steps()) << "a pass per step, whoever rides in it";
  EXPECT_LT(result.n_passes * (kSessions - 1), result.n_rows);
  EXPECT_EQ(result.n_words, static_cast<std::int64_t>(result.commit_seconds.size()));
  // f16 K and V of 256 slots, 2 layers, 2 heads of 64.
  EXPECT_GE(result.bytes_per_session, 2 * 2 * 256 * 2 * 128);
}

TEST_F(SessionLoadTest, WhoIsDoneGoesOnUntilTheLastOneIs) {
  text_ = {{"long", std::vector<std::string>(16, "dog")}, {"short", {"No."}}, {"short", {"No."}}};
  load_.text = text_;
  load_.n_sentences = 1;
  const LoadResult result = run(2);
  EXPECT_EQ(translations_[0].size(), 1u);
  EXPECT_GE(translations_[1].size(), 2u);
  EXPECT_GE(result.n_sentences, 3);
}

TEST_F(SessionLoadTest, WaitingForTheSpeakerIsNoDelay) {
  load_.pace = 0.001;  // a word in a thousand steps
  const LoadResult result = run(3);
  EXPECT_GT(result.seconds, 10'000);
  ASSERT_FALSE(result.commit_seconds.empty());
  const double sum = std::accumulate(result.commit_seconds.begin(), result.commit_seconds.end(), 0.0);
  EXPECT_LE(sum, clock_.n_steps()) << "of three sessions that hardly ever ride together";
  EXPECT_GE(*std::min_element(result.commit_seconds.begin(), result.commit_seconds.end()), 1);
}

TEST_F(SessionLoadTest, SessionsBeginEvenlyWithinAWord) {
  load_.pace = 0.001;
  (void)run(4);
  ASSERT_GE(clock_.waits.size(), 4u);
  clock_.waits.resize(4);
  EXPECT_THAT(clock_.waits, ElementsAre(250, 500, 750, 1000));
}

TEST_F(SessionLoadTest, ASpeakerWhoIsTooFastShowsInTheLagAlone) {
  load_.pace = 1000;  // words in the time of one step
  const LoadResult result = run(1);
  EXPECT_GT(result.lag_seconds.back(), 0.9 * result.seconds);
  const double sum = std::accumulate(result.commit_seconds.begin(), result.commit_seconds.end(), 0.0);
  EXPECT_LE(sum, result.seconds);
  for (std::size_t i = 0; i < result.lag_seconds.size(); ++i)
    EXPECT_GE(result.lag_seconds[i], result.commit_seconds[i]);
  const std::vector<double> steps = translate_alone(text_[2]).steps;
  ASSERT_LE(steps.size(), result.commit_seconds.size());
  EXPECT_THAT(std::vector(result.commit_seconds.end() - std::ssize(steps), result.commit_seconds.end()),
              ElementsAreArray(steps))
      << "of the last sentence, all there when the one before ended";
}

TEST_F(SessionLoadTest, ARoundMayHaveALengthInsteadOfSentences) {
  load_.seconds = 40;
  EXPECT_EQ(run(2).seconds, 40);
}

TEST_F(SessionLoadTest, ProgressGoesUpToOne) {
  std::vector<double> fractions;
  load_.on_progress = [&](double fraction) { fractions.push_back(fraction); };
  (void)run(2);
  EXPECT_TRUE(std::is_sorted(fractions.begin(), fractions.end()));
  EXPECT_EQ(fractions.back(), 1);
  EXPECT_EQ(std::set<double>(fractions.begin(), fractions.end()).size(), 7u) << "0 and six sentences";
}

TEST_F(SessionLoadTest, ASentenceThatCannotBeTranslatedIsNamed) {
  text_[2].words.assign(300, "dog");
  load_.text = text_;
  Engine engine = make_engine(1);
  try {
    (void)run_load(engine, load_);
    FAIL() << "expected an Error";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("text:3: "));
  }
}

TEST_F(SessionLoadTest, StopsWhenAsked) {
  std::stop_source source;
  load_.stop = source.get_token();
  load_.on_progress = [&](double fraction) {
    if (fraction > 0) source.request_stop();
  };
  Engine engine = make_engine(1);
  EXPECT_FALSE(run_load(engine, load_));
}

}  // namespace
}  // namespace tandem
