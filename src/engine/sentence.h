// One sentence from its first READ to its end: the streaming algorithm itself, without weights, threads or
// clock.
//
// Each round the sentence plans the rows of its next pass and absorbs their logits:
//
//   opening   READ until word 0 may be written; evaluate the target prefix; choose the first piece
//   asking    piece x of word t was chosen: evaluate x's row and see what comes next
//             - word t and t+1 see the same source  -> one row, plain argmax
//             - the next unit is there, fork is on  -> two rows of x, one under each visibility; keep one
//             - otherwise                           -> a draft under word t's visibility: does the word go
//             on?
//   beginning the word has ended: once the next unit is READ, x's row under the new visibility; only pieces
//   that
//             begin a word, or the end, may follow
//
// An end while source is unread READs one more unit, takes the row back and asks again ("early end"). Rows of
// source that must be visible, and those that have merely arrived, ride in the same pass as the target's row.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "engine/repetition.h"
#include "engine/sampler.h"
#include "model/network.h"
#include "policy/policy.h"
#include "stream/timeline.h"
#include "stream/wait_k.h"
#include "tandem/engine.h"
#include "text/detokenizer.h"
#include "text/prompt.h"
#include "text/word_tracker.h"

namespace tandem {

/// What is the same for all sentences of a session. Everything pointed to must outlive them.
struct SentenceSetup {
  std::span<const PieceInfo> pieces;
  std::span<const std::string> bytes;  // by token id
  const Prompt* prompt = nullptr;
  const Policy* policy = nullptr;
  const Sampler* sampler = nullptr;
  WordUnit target_unit = WordUnit::kSpaced;
  EndMarker end_marker = EndMarker::kWithLastWord;
  Fork fork = Fork::kWhenReady;
  ReadAhead read_ahead = ReadAhead::kWhenRoom;
  int target_rows_base = 48;
  int target_rows_per_source_row = 3;
  int no_repeat_ngram = 0;
};

class Sentence {
 public:
  /// `timeline` is empty and belongs to this sentence until it is done; `counters` and `events` are the
  /// session's.
  Sentence(const SentenceSetup& setup, int number, Timeline& timeline, Counters& counters,
           std::deque<Event>& events);

  /// The next source word, in tokens. Ignored once the source has ended or the target is done.
  void add_word(std::string text, std::span<const TokenId> tokens, Last last);
  /// No more words: the suffix joins the last word if that was not READ yet, else it is a unit of its own.
  void end_source();

  /// Fills in the rows of the next pass, at most `max_rows`. False: nothing can be done before more source
  /// comes.
  [[nodiscard]] bool plan(int max_rows, std::vector<PassRow>& rows);
  /// Logits of the planned rows that wanted them, in their order.
  void absorb(const Logits& logits);

  /// Ends the sentence where it is: committed text stays, the reason is an event.
  void fail(std::string reason);

  bool has_ended_source() const { return source_has_ended_; }
  bool is_done() const { return stage_ == Stage::kDone; }

 private:
  enum class Stage { kOpening, kAsking, kBeginning, kDone };
  enum class Asked { kNothing, kPlain, kDraft, kFork, kRestricted };

  /// Units that must be read before `word` is written, or none while they have not all arrived.
  std::optional<int> units_for(int word) const;
  bool is_all_read() const { return source_has_ended_ && units_read_ == units_.n_units(); }
  void read_to(int n_units);

  /// What the next target rows are: which question they ask, their visibilities, the source that they need.
  struct Question {
    Asked asked = Asked::kNothing;
    std::vector<int>
        visible;  // one target row each; in the opening all rows of the prefix share the only entry
    int n_source_rows = 0;
  };
  std::optional<Question> open();
  std::optional<Question> ask();
  std::optional<Question> begin();
  void place_source(int n_rows, std::vector<PassRow>& rows);
  void place_target(const Question& question, std::vector<PassRow>& rows);

  std::optional<TokenId> best(std::span<const float> logits, Choice choice) const;
  bool is_boundary(std::span<const float> logits) const;
  void absorb_plain(std::span<const float> logits);
  void absorb_draft(std::span<const float> logits);
  void absorb_fork(std::span<const float> old_logits, std::span<const float> new_logits);
  void absorb_restricted(std::span<const float> logits);
  void go_on(const PassRow& row, std::span<const float> logits);
  void keep(const PassRow& row);
  void drop(Slot slot);
  void write(TokenId id);
  void commit();
  void end_target();
  void read_one_more();
  bool is_too_long() const;
  void emit(EventKind kind, int index, std::string text);

  SentenceSetup setup_;
  int number_;
  Timeline& timeline_;
  Counters& counters_;
  std::deque<Event>& events_;

  std::vector<TokenId> source_tokens_;  // prefix, words, suffix: row i of the source is source_tokens_[i]
  std::vector<std::string> source_words_;
  SourceUnits units_;  // arrived
  bool source_has_ended_ = false;
  int units_read_ = 0;
  int min_units_ = 0;  // READ at least so many before going on (early ends)

  Stage stage_ = Stage::kOpening;
  Asked asked_ = Asked::kNothing;
  std::vector<PassRow> asked_rows_;  // target rows of the pass under way
  std::vector<Slot> last_rows_;      // kept rows that an early end takes back
  int next_units_ = 0;               // of a fork: units that the next word needs
  WordTracker words_;
  Detokenizer detokenizer_;
  RepetitionBlock repetition_;
  std::optional<TokenId> pending_;  // chosen, its row not yet kept
  std::string word_text_;
  int n_committed_ = 0;
  int n_target_tokens_ = 0;
};

}  // namespace tandem
