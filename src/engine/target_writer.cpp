#include "engine/target_writer.h"

#include <algorithm>

namespace tandem {

TargetWriter::TargetWriter(const SentenceSetup& setup, const TargetSetup& target, int index,
                           const SentenceState& sentence)
    : setup_(setup),
      target_(target),
      index_(index),
      sentence_(sentence),
      units_(static_cast<int>(target.prompt->source_prefix.size())),
      words_(setup.pieces, target.unit),
      detokenizer_(setup.bytes),
      repetition_(setup.no_repeat_ngram) {
  TANDEM_CHECK(!target.prompt->target_prefix.empty());
}

/// A last word that was READ as any other makes the suffix a unit of its own.
void TargetWriter::end_source() {
  const bool is_last_word_read = units_.n_units() > 0 && units_read_ == units_.n_units();
  units_.add_suffix(static_cast<int>(target_.prompt->source_suffix.size()),
                    is_last_word_read ? EndMarker::kOwnUnit : setup_.end_marker);
  has_source_ended_ = true;
}

// ---- asking
// -----------------------------------------------------------------------------------------------------

std::optional<int> TargetWriter::units_for(int word) const {
  const int n_arrived = units_.n_units();
  int units = std::max(units_read_, min_units_);
  for (;; ++units) {
    const bool is_exhausted = has_source_ended_ && units >= n_arrived;
    const PolicyView view{.word = word, .units_read = units, .source_has_ended = is_exhausted};
    if (target_.policy->decide(view) == Action::kWrite) break;
    if (units >= n_arrived) return std::nullopt;
  }
  if (units > n_arrived && !has_source_ended_) return std::nullopt;
  return std::min(units, n_arrived);
}

void TargetWriter::read_to(int n_units) {
  while (units_read_ < n_units) {
    const int unit = units_read_++;
    emit(EventKind::kRead, unit, sentence_.source->word(unit));
  }
}

std::optional<TargetWriter::Question> TargetWriter::ask(bool forks_pay) {
  std::optional<Plan> plan;
  if (stage_ == Stage::kOpening) plan = plan_opening();
  if (stage_ == Stage::kAsking) plan = plan_asking(forks_pay);
  if (stage_ == Stage::kBeginning) plan = plan_beginning();
  plan_ = plan.value_or(Plan{});
  if (!plan) return std::nullopt;
  if (plan_.asked == Asked::kFork) return Question{2, plan_.visible_next};
  const auto n_prefix = static_cast<int>(target_.prompt->target_prefix.size());
  return Question{stage_ == Stage::kOpening ? n_prefix : 1, plan_.visible};
}

std::optional<TargetWriter::Plan> TargetWriter::plan_opening() {
  const auto units = units_for(0);
  if (!units) return std::nullopt;
  read_to(*units);
  return Plan{Asked::kPlain, units_.rows_after(units_read_)};
}

std::optional<TargetWriter::Plan> TargetWriter::plan_asking(bool forks_pay) {
  // There is a boundary to ask about only after a word of a language with spaces. Code points count
  // themselves, and a word that so far is only its mark goes on with whatever comes.
  const bool may_end = target_.unit == WordUnit::kSpaced && words_.is_boundary_open();
  const auto units_now =
      units_for(words_.word());  // more than units_read_ only after an early end, or code points
  if (!units_now) return std::nullopt;
  read_to(*units_now);
  const int visible_now = units_.rows_after(units_read_);
  if (!may_end) return Plan{Asked::kPlain, visible_now};

  const auto units_next = units_for(words_.word() + 1);
  if (!units_next) return Plan{Asked::kDraft, visible_now};
  const int visible_next = units_.rows_after(*units_next);
  next_units_ = *units_next;
  if (visible_next == visible_now) return Plan{Asked::kPlain, visible_now};
  return may_fork(forks_pay, visible_next) ? Plan{Asked::kFork, visible_now, visible_next}
                                           : Plan{Asked::kDraft, visible_now};
}

/// Two rows at once where one by one still fits: near the end of the cache a fork is not worth a sentence.
/// The other targets may want two rows too.
bool TargetWriter::may_fork(bool forks_pay, int visible_next) const {
  if (setup_.fork == Fork::kNever || (setup_.fork == Fork::kByCost && !forks_pay)) return false;
  const Timeline& timeline = *sentence_.timeline;
  const int n_source = std::max(0, visible_next - timeline.n_source_rows());
  return n_source + kMostQuestionRows * timeline.n_targets() <= timeline.n_free_slots();
}

std::optional<TargetWriter::Plan> TargetWriter::plan_beginning() {
  const auto units = units_for(words_.word() + 1);
  if (!units) return std::nullopt;
  read_to(*units);
  return Plan{Asked::kRestricted, units_.rows_after(units_read_)};
}

void TargetWriter::place(std::vector<PassRow>& rows) {
  asked_rows_.clear();
  if (stage_ == Stage::kOpening) {
    for (TokenId token : target_.prompt->target_prefix) add_row(token, plan_.visible, RowKind::kKept);
  } else {
    const bool is_kept = plan_.asked == Asked::kPlain || plan_.asked == Asked::kRestricted;
    add_row(*pending_, plan_.visible, is_kept ? RowKind::kKept : RowKind::kDraft);
    asked_rows_.back().wants_logits = true;
    if (plan_.asked == Asked::kFork) add_row(*pending_, plan_.visible_next, RowKind::kDraft);
  }
  asked_rows_.back().wants_logits = true;
  rows.insert(rows.end(), asked_rows_.begin(), asked_rows_.end());
}

void TargetWriter::add_row(TokenId token, int visible, RowKind kind) {
  asked_rows_.push_back({.token = token, .place = sentence_.timeline->add_target_row(visible, kind, index_)});
  sentence_.counters->drafts += kind == RowKind::kDraft ? 1 : 0;
}

// ---- absorbing
// --------------------------------------------------------------------------------------------------

void TargetWriter::absorb(const Logits& logits) {
  if (plan_.asked == Asked::kPlain || plan_.asked == Asked::kRestricted) {
    last_rows_.clear();
    for (const PassRow& row : asked_rows_) last_rows_.push_back(row.place.slot);
  }
  switch (plan_.asked) {
    case Asked::kNothing:
      break;
    case Asked::kPlain:
      absorb_plain(logits.row(0));
      break;
    case Asked::kDraft:
      absorb_draft(logits.row(0));
      break;
    case Asked::kFork:
      absorb_fork(logits.row(0), logits.row(1));
      break;
    case Asked::kRestricted:
      absorb_restricted(logits.row(0));
      break;
  }
  plan_.asked = Asked::kNothing;
}

std::optional<TokenId> TargetWriter::best(std::span<const float> logits, Choice choice) const {
  return target_.sampler->best(logits, choice, words_, repetition_.blocked());
}

bool TargetWriter::is_boundary(std::span<const float> logits) const {
  return target_.sampler->is_boundary(logits, words_, repetition_.blocked());
}

void TargetWriter::absorb_plain(std::span<const float> logits) {
  const auto choice = best(logits, Choice::kAny);
  if (!choice) return fail("the model gave no finite logits");
  if (target_.sampler->is_end(*choice) || is_too_long())
    return is_all_read() ? end_target() : read_one_more();
  const bool ends_word =
      stage_ == Stage::kAsking && target_.unit == WordUnit::kSpaced && words_.would_begin_word(*choice);
  if (ends_word) {
    commit();
    read_to(next_units_);
  }
  write(*choice);
}

void TargetWriter::absorb_draft(std::span<const float> logits) {
  if (!is_boundary(logits) && !is_too_long()) return go_on(asked_rows_[0], logits);
  drop(asked_rows_[0].place.slot);
  commit();
  stage_ = Stage::kBeginning;
}

void TargetWriter::absorb_fork(std::span<const float> old_logits, std::span<const float> new_logits) {
  const PassRow& old_row = asked_rows_[0];
  const PassRow& new_row = asked_rows_[1];
  if (!is_boundary(old_logits) && !is_too_long()) {
    drop(new_row.place.slot);
    return go_on(old_row, old_logits);
  }
  drop(old_row.place.slot);
  commit();
  read_to(next_units_);
  keep(new_row);
  stage_ = Stage::kBeginning;
  absorb_restricted(new_logits);
}

void TargetWriter::absorb_restricted(std::span<const float> logits) {
  const auto choice = best(logits, Choice::kBeginningOrEnd);
  if (!choice) return fail("the model gave no finite logits");
  if (target_.sampler->is_end(*choice) || is_too_long())
    return is_all_read() ? end_target() : read_one_more();
  write(*choice);
}

/// The word goes on: the row keeps its word's visibility.
void TargetWriter::go_on(const PassRow& row, std::span<const float> logits) {
  keep(row);
  const auto choice = best(logits, Choice::kContinuation);
  if (!choice) return fail("the model gave no finite logits");
  write(*choice);
}

void TargetWriter::keep(const PassRow& row) {
  sentence_.timeline->keep(row.place.slot);
  last_rows_.assign(1, row.place.slot);
}

void TargetWriter::drop(Slot slot) {
  sentence_.timeline->drop(slot);
  ++sentence_.counters->dropped_rows;
}

void TargetWriter::write(TokenId id) {
  const int word = words_.word_of_next(id);
  words_.accept(id);
  repetition_.accept(id);
  word_text_ += detokenizer_.accept(id);
  pending_ = id;
  ++n_target_tokens_;
  ++sentence_.counters->target_tokens;
  emit(EventKind::kWrite, word, std::string(setup_.bytes[static_cast<std::size_t>(to_int(id))]));
  stage_ = Stage::kAsking;
  if (target_.unit == WordUnit::kCodePoint && words_.word() > n_committed_) commit();
}

void TargetWriter::commit() {
  const int index = n_committed_;
  n_committed_ = target_.unit == WordUnit::kSpaced ? n_committed_ + 1 : words_.word();
  emit(EventKind::kCommit, index, std::move(word_text_));
  word_text_.clear();
}

void TargetWriter::end_target() {
  // A mark that nothing followed is no word.
  const bool has_word = word_text_.find_first_not_of(' ') != std::string::npos;
  if (stage_ == Stage::kAsking && has_word) commit();
  ++sentence_.counters->target_tokens;
  emit(EventKind::kSentence, n_committed_, std::string());
  stage_ = Stage::kDone;
}

/// An early end (DESIGN 2.2), or a target that has run ahead of what was read: READ one unit more, take the
/// row back and ask again.
void TargetWriter::read_one_more() {
  min_units_ = units_read_ + 1;
  for (auto slot = last_rows_.rbegin(); slot != last_rows_.rend(); ++slot) drop(*slot);
  last_rows_.clear();
}

void TargetWriter::fail(std::string reason) {
  emit(EventKind::kFailed, n_committed_, std::move(reason));
  stage_ = Stage::kDone;
}

bool TargetWriter::is_too_long() const {
  const int n_source_rows = units_.rows_after(units_read_);
  return n_target_tokens_ >= setup_.target_rows_base + setup_.target_rows_per_source_row * n_source_rows;
}

void TargetWriter::emit(EventKind kind, int index, std::string text) {
  sentence_.events->push_back({.kind = kind,
                               .sentence = sentence_.number,
                               .target = index_,
                               .index = index,
                               .text = std::move(text),
                               .delay_words = units_.words_after(units_read_),
                               .visible_rows = units_.rows_after(units_read_),
                               .passes = sentence_.counters->passes});
}

}  // namespace tandem
