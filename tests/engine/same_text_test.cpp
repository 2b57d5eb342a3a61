// What a session of the shipped model writes, whose weights are quantised: with copies in all passes the same
// whatever rides along, however the source arrives, and whoever shares the passes.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "numeric/block_products.h"
#include "tandem/engine.h"

namespace tandem {
namespace {

const std::vector<std::vector<std::string>> kSentences = {
    {"A", "man", "in", "a", "blue", "shirt", "is", "standing", "on", "a", "ladder", "cleaning", "a",
     "window."},
    {"Two", "dogs", "are", "playing", "in", "the", "snow", "near", "a", "frozen", "lake."},
    {"Several", "women", "wait", "outside", "in", "a", "city."},
};

class SameText : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!has_block_products()) GTEST_SKIP() << "this CPU has no products in blocks, so no engine has copies";
  }

  /// Each target's text, a line a sentence.
  using Texts = std::vector<std::string>;

  static void collect(Session& session, Texts& texts) {
    for (const Event& event : session.poll()) {
      ASSERT_NE(event.kind, EventKind::kFailed) << event.text;
      std::string& text = texts[static_cast<std::size_t>(event.target)];
      if (event.kind == EventKind::kCommit) text += event.text;
      if (event.kind == EventKind::kSentence) text += '\n';
    }
  }

  static void push_all(Session& session) {
    for (const auto& sentence : kSentences)
      for (std::size_t i = 0; i < sentence.size(); ++i)
        ASSERT_EQ(session.push_word(sentence[i], i + 1 == sentence.size() ? Last::kYes : Last::kNo),
                  Push::kAccepted);
    session.finish();
  }

  Texts write(const SessionOptions& options) {
    Session session = engine_.open(options);
    push_all(session);
    while (session.step() == Progress::kMore) {
    }
    Texts texts(options.target_languages.size());
    collect(session, texts);
    return texts;
  }

  /// As many steps as there are to take after each word.
  Texts write_word_by_word(const SessionOptions& options) {
    Session session = engine_.open(options);
    Texts texts(options.target_languages.size());
    for (const auto& sentence : kSentences) {
      for (std::size_t i = 0; i < sentence.size(); ++i) {
        EXPECT_EQ(session.push_word(sentence[i], i + 1 == sentence.size() ? Last::kYes : Last::kNo),
                  Push::kAccepted);
        while (session.step() == Progress::kMore) {
        }
      }
    }
    collect(session, texts);
    return texts;
  }

  /// All sessions in the same passes.
  std::vector<Texts> write_together(const std::vector<SessionOptions>& options) {
    std::vector<Session> sessions;
    for (const SessionOptions& each : options) {
      sessions.push_back(engine_.open(each));
      push_all(sessions.back());
    }
    std::vector<Session*> pass;
    for (Session& session : sessions) pass.push_back(&session);
    const auto is_over = [](Progress progress) { return progress == Progress::kFinished; };
    while (true) {
      const auto progress = engine_.step(pass);
      if (std::all_of(progress.begin(), progress.end(), is_over)) break;
    }
    std::vector<Texts> texts;
    for (std::size_t i = 0; i < sessions.size(); ++i)
      collect(sessions[i], texts.emplace_back(options[i].target_languages.size()));
    return texts;
  }

  static SessionOptions to(std::vector<std::string> languages, int k = 3) {
    return {.target_languages = std::move(languages), .k = k, .fork = Fork::kWhenReady};
  }

  Engine engine_ =
      Engine::load(TANDEM_SOURCE_DIR "/models/default.gguf",
                   {.n_threads = 1, .session_slots = 256, .max_sessions = 8, .wide = Wide::kAlways});
};

TEST_F(SameText, WithAnySwitchAndAnyArrival) {
  const Texts expected = write(to({"de"}));
  EXPECT_GT(expected[0].size(), 100U);
  SessionOptions options = to({"de"});
  options.fork = Fork::kNever;
  EXPECT_EQ(write(options), expected) << "drafts";
  options.read_ahead = ReadAhead::kNever;
  options.fuse = Fuse::kNever;
  EXPECT_EQ(write(options), expected) << "nothing at once";
  EXPECT_EQ(write_word_by_word(to({"de"})), expected) << "word by word";
  const Texts both = write(to({"de", "fr"}));
  EXPECT_EQ(both[0], expected[0]) << "one of two targets";
  EXPECT_EQ(both[1], write(to({"fr"}))[0]) << "the other";
}

TEST_F(SameText, InAnyCompany) {
  const std::vector<SessionOptions> options = {to({"de"}),       to({"fr"}),    to({"de"}, 1),
                                               to({"de", "fr"}), to({"de"}, 7), to({"fr"}, kUnlimited)};
  const auto texts = write_together(options);
  for (std::size_t i = 0; i < options.size(); ++i) EXPECT_EQ(texts[i], write(options[i])) << i;
}

}  // namespace
}  // namespace tandem
