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

#include "engine/pass_planner.h"
#include "engine/sentence.h"
#include "model/network.h"
#include "tandem/engine.h"
#include "text/segmenter.h"

namespace tandem {

/// Tokens of one source word; `is_first` in its sentence.
using WordTokenizer = std::function<std::vector<TokenId>(std::string_view word, bool is_first)>;

/// One target of a session.
struct TargetParts {
  Prompt prompt;  // source prefix and suffix are the same for all targets of a session
  std::unique_ptr<const Policy> policy;
  std::shared_ptr<const Sampler> sampler;
  WordUnit unit = WordUnit::kSpaced;
};

struct SessionParts {
  Network* network = nullptr;              // outlives the session
  std::shared_ptr<const Adapter> adapter;  // null: the model as it is
  CacheSpan span;
  std::int64_t span_bytes = 0;
  Position target_start;  // phi
  WordTokenizer tokenize_word;
  WordUnit source_unit = WordUnit::kSpaced;
  std::vector<TargetParts> targets;  // at least one
  SentenceSetup setup;
  bool forks_pay_alone = true;  // for a session that forks by cost and steps by itself
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

  // A step in parts, for a pass that several sessions share: request(), then place() until absorb() or
  // settle(), nothing between.
  /// What the session would bring to the next pass. `forks_pay`: for a session that forks by cost.
  RowRequest request(bool forks_pay);
  /// Fills in the session's part of a pass, as granted. Its vector is kept for its memory.
  void place(const RowGrant& grant, SessionRows& part);
  /// Logits of the placed rows that wanted them, in their order.
  void absorb(const Logits& logits);
  /// What the step came to.
  Progress settle();
  /// Passes in a row that had no room for the session though it asked, and its head start.
  int turn() const { return n_waited_ + head_start_; }
  /// As if it had waited so many passes: how a session with priority comes first without starving the others.
  void set_head_start(int n_passes) { head_start_ = n_passes; }

  void cancel();
  void reset();

  /// Words, and ends of sentences, that were pushed and not looked at yet.
  std::size_t n_queued_words() const { return queue_.size(); }

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
  void begin_sentence();
  void count_pass(const SessionRows& part);

  SessionParts parts_;
  std::vector<TargetSetup> targets_;
  Timeline timeline_;
  Counters counters_;
  std::deque<Event> events_;
  Segmenter segmenter_;
  std::deque<QueuedWord> queue_;
  std::optional<Sentence> sentence_;
  std::vector<SessionRows> pass_;  // of this session alone; kept for its memory
  std::vector<RowGrant> grants_;   // likewise
  RowRequest request_;             // of the step under way
  bool has_rows_ = false;          // in the pass under way
  int n_waited_ = 0;
  int head_start_ = 0;
  int n_sentences_ = 0;
  int n_words_in_sentence_ = 0;      // fed to the sentence under way
  bool is_skipping_ = false;         // the sentence under way failed: its words are passed over
  int n_source_rows_evaluated_ = 0;  // in the sentence under way
  bool is_closed_ = false;
  bool is_cancelled_ = false;
};

}  // namespace tandem
