// A session: sentence after sentence over one span of the cache. Words wait in a bounded queue until their
// sentence begins; each step gives the network the rows of one pass. The weights are behind model/network.h,
// the tokenizer behind a function, so that a test can put stubs in both places and still run this very code.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/sentence.h"
#include "model/network.h"
#include "tandem/engine.h"
#include "text/segmenter.h"

namespace tandem {

/// Tokens of one source word; `is_first` in its sentence.
using WordTokenizer = std::function<std::vector<TokenId>(std::string_view word, bool is_first)>;

struct SessionParts {
  Network* network = nullptr;              // outlives the session
  std::shared_ptr<const Adapter> adapter;  // null: the model as it is
  CacheSpan span;
  std::int64_t span_bytes = 0;
  Position target_start;  // phi
  WordTokenizer tokenize_word;
  WordUnit source_unit = WordUnit::kSpaced;
  Prompt prompt;
  std::unique_ptr<const Policy> policy;
  std::unique_ptr<const Sampler> sampler;
  SentenceSetup setup;  // its prompt, policy and sampler are filled in by the session
};

class SessionCore {
 public:
  explicit SessionCore(SessionParts parts);
  SessionCore(const SessionCore&) = delete;
  SessionCore& operator=(const SessionCore&) = delete;
  ~SessionCore();

  Push push_text(std::string_view text);
  Push push_word(std::string_view word, Last last = Last::kNo);
  void end_sentence();
  void finish();
  Progress step();
  std::vector<Event> poll();

  // A step in parts, for a pass that several sessions share: plan() until absorb() or settle(), nothing
  // between.
  /// Fills in rows(), at most `max_rows`, which must hold a prompt. False: nothing can be done now.
  bool plan(int max_rows);
  SessionRows& rows() { return pass_[0]; }
  /// Logits of rows(), in their order.
  void absorb(const Logits& logits);
  /// What the step came to.
  Progress settle();
  /// Rows that a pass must have room for, whatever the session asks.
  int least_rows() const;

  void cancel();
  void reset();

  const Counters& counters() const { return counters_; }
  std::int64_t memory_bytes() const;
  /// The rows of the sentence under way, for tests and for the planner.
  const Timeline& timeline() const { return timeline_; }

 private:
  struct QueuedWord {
    std::string text;
    Last last = Last::kNo;
    bool is_sentence_end = false;  // no word: the sentence ends here
  };

  bool is_queue_full() const;
  void enqueue(std::vector<SourceUnit> words);
  void feed();
  void feed(QueuedWord word);
  void add_word(QueuedWord word);
  void count_pass();

  SessionParts parts_;
  Timeline timeline_;
  Counters counters_;
  std::deque<Event> events_;
  Segmenter segmenter_;
  std::deque<QueuedWord> queue_;
  std::optional<Sentence> sentence_;
  std::vector<SessionRows> pass_;  // of one session; kept for its memory
  int n_sentences_ = 0;
  int n_words_in_sentence_ = 0;      // fed to the sentence under way
  bool is_skipping_ = false;         // the sentence under way failed: its words are passed over
  int n_source_rows_evaluated_ = 0;  // in the sentence under way
  bool is_closed_ = false;
  bool is_cancelled_ = false;
};

}  // namespace tandem
