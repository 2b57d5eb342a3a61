// Random sessions on the stub network, and what a slow decoder writes for them: the model that schedules are
// held against.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "support/slow_decoder.h"
#include "support/stub_session.h"

namespace tandem::testing {

class Random {
 public:
  explicit Random(unsigned seed) : engine_(seed) {}
  int draw(int low, int high) { return std::uniform_int_distribution<int>(low, high)(engine_); }
  template <class T>
  T pick(T a, T b) {
    return draw(0, 1) == 0 ? a : b;
  }

 private:
  std::mt19937 engine_;
};

struct Written {
  std::vector<int> tokens;
  std::vector<int> delays;
  bool operator==(const Written&) const = default;
};

inline int token_of(const std::string& piece) {
  if (piece == " ") return testing::kLoneMark;
  const auto& bytes = testing::stub_bytes();
  return static_cast<int>(std::find(bytes.begin(), bytes.end(), piece) - bytes.begin());
}

/// Of several targets, each sentence's stand one after the other.
inline void collect(SessionCore& session, std::vector<Written>& sentences, int n_targets = 1) {
  for (const Event& event : session.poll()) {
    ASSERT_NE(event.kind, EventKind::kFailed) << event.text;
    const auto at = static_cast<std::size_t>(event.sentence * n_targets + event.target);
    sentences.resize(std::max(sentences.size(), at + 1));
    Written& sentence = sentences[at];
    if (event.kind == EventKind::kWrite) sentence.tokens.push_back(token_of(event.text));
    if (event.kind == EventKind::kCommit) sentence.delays.push_back(event.delay_words);
  }
}

inline StubOptions random_options(Random& random) {
  StubOptions options;
  options.k = random.draw(0, 5) == 0 ? WaitK::unlimited() : WaitK(random.draw(1, 6));
  options.source_prefix = random.draw(0, 3);
  options.source_suffix = random.draw(0, 2);
  options.target_prefix = random.draw(1, 3);
  options.end_marker = random.pick(EndMarker::kOwnUnit, EndMarker::kWithLastWord);
  options.fuse = random.pick(Fuse::kNever, Fuse::kWhenReady);
  options.fork = random.pick(Fork::kNever, random.pick(Fork::kWhenReady, Fork::kByCost));
  options.forks_pay = random.pick(false, true);
  options.read_ahead = random.pick(ReadAhead::kNever, ReadAhead::kWhenRoom);
  options.has_lone_mark = random.draw(0, 2) == 0;
  options.no_repeat_ngram = random.pick(0, random.draw(2, 4));
  return options;
}

inline std::vector<int> random_words(Random& random) {
  std::vector<int> words(static_cast<std::size_t>(random.draw(1, 9)));
  for (int& rows : words) rows = random.draw(1, 3);
  return words;
}

inline Written decode_slowly(std::uint64_t seed, const StubOptions& options, const std::vector<int>& words,
                             int target = 0) {
  const auto source =
      SourceUnits::whole(options.source_prefix, words, options.source_suffix, options.end_marker);
  const int lone_mark = options.has_lone_mark ? testing::kLoneMark : -1;
  auto result =
      SlowDecoder(seed, source, options.k, options.target_prefix + target, lone_mark, options.no_repeat_ngram)
          .run();
  return {std::move(result.tokens), std::move(result.delays)};
}

}  // namespace tandem::testing
