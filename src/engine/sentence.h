// One sentence: a source that is read once, and the targets that it feeds, over one timeline.
//
// The sentence says what it would bring to the next pass (request), fills in what it was granted (place), and
// hands each target the logits of its rows (absorb). The targets decide independently, each as if it were
// alone (target_writer.h); what they share are the source's rows.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "engine/pass_planner.h"
#include "engine/target_writer.h"

namespace tandem {

class Sentence {
 public:
  /// Setups must outlive the sentence. `timeline` is empty and belongs to it until it is done; `counters` and
  /// `events` are the session's. Not to be moved: its targets point to its source.
  Sentence(const SentenceSetup& setup, std::span<const TargetSetup> targets, int number, Timeline& timeline,
           Counters& counters, std::deque<Event>& events);
  Sentence(const Sentence&) = delete;
  Sentence& operator=(const Sentence&) = delete;

  /// The next source word, in tokens. Ignored once the source has ended or the targets are done.
  void add_word(std::string text, std::span<const TokenId> tokens, Last last);
  /// No more words: the suffix joins the last word if that was not READ yet, else it is a unit of its own.
  void end_source();

  /// Rows that would bring the targets further now, after READing what they need. Empty: nothing before more
  /// source comes. Holds until place(), or the next request().
  RowRequest request(bool forks_pay);
  /// Fills in rows as granted; their logits are expected by absorb().
  void place(const RowGrant& grant, std::vector<PassRow>& rows);
  /// Logits of the placed rows that wanted them, in their order.
  void absorb(const Logits& logits);

  /// Ends all targets where they are: committed text stays, the reason is an event of each.
  void fail(const std::string& reason);

  bool has_ended_source() const { return source_.has_ended(); }
  bool is_done() const;

 private:
  struct Target {
    TargetWriter writer;
    std::optional<TargetWriter::Question> question;  // of the pass that is being planned, or under way
  };

  void refuse_what_does_not_fit();
  int n_missing_rows(const TargetWriter::Question& question) const;

  const SentenceSetup& setup_;
  std::span<const TokenId> suffix_;
  Timeline& timeline_;
  SentenceSource source_;
  std::vector<Target> targets_;
  bool is_asking_ = false;  // the pass under way has the questions' rows
};

}  // namespace tandem
