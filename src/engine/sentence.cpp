#include "engine/sentence.h"

#include <fmt/format.h>

#include <algorithm>

namespace tandem {

Sentence::Sentence(const SentenceSetup& setup, std::span<const TargetSetup> targets, int number,
                   Timeline& timeline, Counters& counters, std::deque<Event>& events)
    : setup_(setup),
      suffix_(targets.front().prompt->source_suffix),
      timeline_(timeline),
      source_(targets.front().prompt->source_prefix) {
  TANDEM_CHECK(timeline.rows().empty() && timeline.n_targets() == static_cast<int>(targets.size()));
  const SentenceState state{
      .number = number, .timeline = &timeline, .counters = &counters, .events = &events, .source = &source_};
  targets_.reserve(targets.size());
  for (const TargetSetup& target : targets) {
    const auto index = static_cast<int>(targets_.size());
    targets_.push_back({TargetWriter(setup_, target, index, state), std::nullopt});
  }
}

bool Sentence::is_done() const {
  return std::all_of(targets_.begin(), targets_.end(), [](const Target& t) { return t.writer.is_done(); });
}

void Sentence::add_word(std::string text, std::span<const TokenId> tokens, Last last) {
  if (source_.has_ended() || is_done()) return;
  source_.add_word(std::move(text), tokens);
  for (Target& target : targets_) target.writer.add_word(static_cast<int>(tokens.size()));
  if (last == Last::kYes) end_source();
  const int n_free = timeline_.n_free_slots() + timeline_.n_source_rows();
  if (source_.n_rows() > n_free) {
    fail(fmt::format(
        "source sentence too long: it has more than {} tokens after {} words, the session has room for {}",
        n_free, source_.n_words(), n_free));
  }
}

void Sentence::end_source() {
  if (source_.has_ended() || is_done()) return;
  source_.end(suffix_);
  for (Target& target : targets_) target.writer.end_source();
}

int Sentence::n_missing_rows(const TargetWriter::Question& question) const {
  return std::max(0, question.n_source_rows - timeline_.n_source_rows());
}

RowRequest Sentence::request(bool forks_pay) {
  is_asking_ = false;
  for (Target& target : targets_) target.question = target.writer.ask(forks_pay);
  refuse_what_does_not_fit();
  RowRequest request;
  int n_asking = 0;
  for (const Target& target : targets_) {
    if (!target.question) continue;
    ++n_asking;
    request.source_rows = std::max(request.source_rows, n_missing_rows(*target.question));
    request.target_rows += target.question->n_target_rows;
  }
  if (setup_.read_ahead == ReadAhead::kWhenRoom) {
    // Whatever comes, no target's next question has more rows.
    const int n_kept_free = kMostQuestionRows * static_cast<int>(targets_.size());
    const int n_arrived = source_.n_rows() - timeline_.n_source_rows() - request.source_rows;
    const int n_free = timeline_.n_free_slots() - request.source_rows - request.target_rows - n_kept_free;
    request.ahead_rows = std::clamp(n_free, 0, n_arrived);
  }
  const bool waits_for_source = setup_.fuse == Fuse::kNever && request.source_rows > 0;
  if (waits_for_source) request.target_rows = 0;
  return request;
}

/// A target that the rest of the cache has no room for ends here; the others go on.
void Sentence::refuse_what_does_not_fit() {
  int n_source = 0;
  int n_target = 0;
  for (Target& target : targets_) {
    if (!target.question) continue;
    const int n_source_with = std::max(n_source, n_missing_rows(*target.question));
    const int n_target_with = n_target + target.question->n_target_rows;
    if (n_source_with + n_target_with > timeline_.n_free_slots()) {
      target.question.reset();
      target.writer.fail(fmt::format(
          "session full: {} rows and {} more do not fit into {}, shorten the sentence or raise session_slots",
          timeline_.n_occupied_slots(), n_source_with + n_target_with,
          timeline_.n_occupied_slots() + timeline_.n_free_slots()));
      continue;
    }
    n_source = n_source_with;
    n_target = n_target_with;
  }
}

void Sentence::place(const RowGrant& grant, std::vector<PassRow>& rows) {
  for (int i = 0; i < grant.source_rows; ++i) {
    const TokenId token = source_.token(timeline_.n_source_rows());
    rows.push_back({.token = token, .place = timeline_.add_source_row()});
  }
  is_asking_ = grant.asks;
  if (!is_asking_) return;
  for (Target& target : targets_) {
    if (target.question) target.writer.place(rows);
  }
}

void Sentence::absorb(const Logits& logits) {
  if (!is_asking_) return;
  std::size_t first = 0;
  for (Target& target : targets_) {
    if (!target.question) continue;
    const auto n = static_cast<std::size_t>(target.writer.n_wanted_logits());
    target.writer.absorb(logits.rows(first, n));
    first += n;
  }
}

void Sentence::fail(const std::string& reason) {
  for (Target& target : targets_) {
    if (!target.writer.is_done()) target.writer.fail(reason);
  }
}

}  // namespace tandem
