// One target of one sentence, from its first READ to its end: the streaming algorithm itself, without
// weights, threads or clock.
//
// Each round the writer says which question it has for the next pass, and absorbs the answer's logits:
//
//   opening   READ until word 0 may be written; evaluate the target prefix; choose the first piece
//   asking    piece x of word t was chosen: evaluate x's row and see what comes next
//             - word t and t+1 see the same source  -> one row, plain argmax
//             - the next unit is there, fork is on  -> two rows of x, one under each visibility; keep one
//             - otherwise                           -> a draft under word t's visibility
//   beginning the word has ended: once the next unit is READ, x's row under the new visibility; only
//             pieces that begin a word, or the end, may follow
//
// An end while source is unread READs one more unit, takes the row back and asks again ("early end").
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "engine/repetition.h"
#include "engine/sampler.h"
#include "engine/sentence_source.h"
#include "model/network.h"
#include "policy/policy.h"
#include "stream/timeline.h"
#include "tandem/engine.h"
#include "text/detokenizer.h"
#include "text/prompt.h"
#include "text/word_tracker.h"

namespace tandem {

/// What is the same for all sentences of a session's target. Everything pointed to must outlive them.
struct TargetSetup {
  const Prompt* prompt = nullptr;
  const Policy* policy = nullptr;
  const Sampler* sampler = nullptr;
  WordUnit unit = WordUnit::kSpaced;
};

/// What is the same for all sentences and targets of a session.
struct SentenceSetup {
  std::span<const PieceInfo> pieces;
  std::span<const std::string> bytes;  // by token id
  EndMarker end_marker = EndMarker::kWithLastWord;
  Fuse fuse = Fuse::kWhenReady;
  Fork fork = Fork::kByCost;
  ReadAhead read_ahead = ReadAhead::kWhenRoom;
  int target_rows_base = 48;
  int target_rows_per_source_row = 3;
  int no_repeat_ngram = 0;
};

/// What all targets of a sentence share. The rows are the sentence's; counters and events are the session's.
struct SentenceState {
  int number = 0;
  Timeline* timeline = nullptr;
  Counters* counters = nullptr;
  std::deque<Event>* events = nullptr;
  const SentenceSource* source = nullptr;
};

/// Rows of a question, but for the opening's: a fork has two.
inline constexpr int kMostQuestionRows = 2;

class TargetWriter {
 public:
  TargetWriter(const SentenceSetup& setup, const TargetSetup& target, int index,
               const SentenceState& sentence);

  /// The source has a word more, or its suffix.
  void add_word(int n_rows) { units_.add_word(n_rows); }
  void end_source();

  /// What the next pass should answer. READs what it needs to ask. None: nothing to do before more source
  /// comes.
  struct Question {
    int n_target_rows = 0;
    int n_source_rows = 0;  // that its rows see, from the first on
  };
  /// `forks_pay` decides for sessions that fork by cost.
  std::optional<Question> ask(bool forks_pay);
  /// Rows of the question that ask() gave last; the source that they see must have been placed.
  void place(std::vector<PassRow>& rows);
  /// Logits of the rows placed last that wanted them.
  void absorb(const Logits& logits);
  /// Of the rows placed last.
  int n_wanted_logits() const { return plan_.asked == Asked::kFork ? 2 : 1; }

  /// Ends the target where it is: committed text stays, the reason is an event.
  void fail(std::string reason);
  bool is_done() const { return stage_ == Stage::kDone; }

 private:
  enum class Stage { kOpening, kAsking, kBeginning, kDone };
  enum class Asked { kNothing, kPlain, kDraft, kFork, kRestricted };

  /// Which question it is, under which visibility; of a fork also the next word's.
  struct Plan {
    Asked asked = Asked::kNothing;
    int visible = 0;
    int visible_next = 0;
  };

  /// Units that must be read before `word` is written, or none while they have not all arrived.
  std::optional<int> units_for(int word) const;
  bool is_all_read() const { return has_source_ended_ && units_read_ == units_.n_units(); }
  void read_to(int n_units);
  std::optional<Plan> plan_opening();
  std::optional<Plan> plan_asking(bool forks_pay);
  std::optional<Plan> plan_beginning();
  bool may_fork(bool forks_pay, int visible_next) const;
  void add_row(TokenId token, int visible, RowKind kind);

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

  const SentenceSetup& setup_;
  const TargetSetup& target_;
  int index_;  // of the target
  SentenceState sentence_;

  SourceUnits units_;  // arrived
  bool has_source_ended_ = false;
  int units_read_ = 0;
  int min_units_ = 0;  // READ at least so many before going on (early ends)

  Stage stage_ = Stage::kOpening;
  Plan plan_;                        // of the question asked last
  std::vector<PassRow> asked_rows_;  // of the pass under way
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
