#include "engine/sentence.h"

#include <fmt/format.h>

#include <algorithm>

namespace tandem {

Sentence::Sentence(const SentenceSetup& setup, int number, Timeline& timeline, Counters& counters,
                   std::deque<Event>& events)
    : setup_(setup),
      number_(number),
      timeline_(timeline),
      counters_(counters),
      events_(events),
      source_tokens_(setup.prompt->source_prefix),
      units_(static_cast<int>(setup.prompt->source_prefix.size())),
      words_(setup.pieces, setup.target_unit),
      detokenizer_(setup.bytes),
      repetition_(setup.no_repeat_ngram) {
  TANDEM_CHECK(!setup.prompt->target_prefix.empty() && timeline.rows().empty());
}

void Sentence::add_word(std::string text, std::span<const TokenId> tokens, Last last) {
  if (source_has_ended_ || is_done()) return;
  source_tokens_.insert(source_tokens_.end(), tokens.begin(), tokens.end());
  source_words_.push_back(std::move(text));
  units_.add_word(static_cast<int>(tokens.size()));
  if (last == Last::kYes) end_source();
  const int n_free = timeline_.n_free_slots() + timeline_.n_source_rows();
  if (static_cast<int>(source_tokens_.size()) > n_free) {
    fail(fmt::format(
        "source sentence too long: it has more than {} tokens after {} words, the session has room for {}",
        n_free, source_words_.size(), n_free));
  }
}

void Sentence::end_source() {
  if (source_has_ended_ || is_done()) return;
  const bool is_last_word_read = units_.n_units() > 0 && units_read_ == units_.n_units();
  const auto& suffix = setup_.prompt->source_suffix;
  source_tokens_.insert(source_tokens_.end(), suffix.begin(), suffix.end());
  units_.add_suffix(static_cast<int>(suffix.size()),
                    is_last_word_read ? EndMarker::kOwnUnit : setup_.end_marker);
  source_has_ended_ = true;
}

// ---- planning
// ---------------------------------------------------------------------------------------------------

std::optional<int> Sentence::units_for(int word) const {
  const int n_arrived = units_.n_units();
  int units = std::max(units_read_, min_units_);
  for (;; ++units) {
    const bool is_exhausted = source_has_ended_ && units >= n_arrived;
    const PolicyView view{.word = word, .units_read = units, .source_has_ended = is_exhausted};
    if (setup_.policy->decide(view) == Action::kWrite) break;
    if (units >= n_arrived) return std::nullopt;
  }
  if (units > n_arrived && !source_has_ended_) return std::nullopt;
  return std::min(units, n_arrived);
}

void Sentence::read_to(int n_units) {
  for (; units_read_ < n_units; ++units_read_) {
    const auto unit = static_cast<std::size_t>(units_read_);
    events_.push_back({.kind = EventKind::kRead,
                       .sentence = number_,
                       .index = units_read_,
                       .text = unit < source_words_.size() ? source_words_[unit] : std::string(),
                       .delay_words = units_.words_after(units_read_ + 1),
                       .visible_rows = units_.rows_after(units_read_ + 1),
                       .passes = counters_.passes});
  }
}

bool Sentence::plan(int max_rows, std::vector<PassRow>& rows) {
  rows.clear();
  asked_ = Asked::kNothing;
  asked_rows_.clear();
  std::optional<Question> question;
  if (stage_ == Stage::kOpening) question = open();
  if (stage_ == Stage::kAsking) question = ask();
  if (stage_ == Stage::kBeginning) question = begin();
  if (!question) return false;

  const int n_source = std::max(0, question->n_source_rows - timeline_.n_source_rows());
  const int n_target = stage_ == Stage::kOpening ? static_cast<int>(setup_.prompt->target_prefix.size())
                                                 : static_cast<int>(question->visible.size());
  if (n_source + n_target > timeline_.n_free_slots()) {
    fail(fmt::format(
        "session full: {} source and {} target rows and {} more do not fit, shorten the sentence or "
        "raise session_slots",
        timeline_.n_source_rows(), timeline_.n_target_rows(), n_source + n_target));
    return false;
  }
  if (n_source + n_target > max_rows) {  // a long source goes first, in passes of its own
    place_source(std::min(n_source, max_rows), rows);
    return true;
  }
  place_source(n_source, rows);
  place_target(*question, rows);
  if (setup_.read_ahead == ReadAhead::kWhenRoom) {
    const int n_arrived = static_cast<int>(source_tokens_.size()) - timeline_.n_source_rows();
    const int n_free =
        timeline_.n_free_slots() - 2;  // whatever comes, the next question has two rows at most
    place_source(std::clamp(std::min(max_rows - n_source - n_target, n_free), 0, n_arrived), rows);
  }
  return true;
}

std::optional<Sentence::Question> Sentence::open() {
  const auto units = units_for(0);
  if (!units) return std::nullopt;
  read_to(*units);
  const int visible = units_.rows_after(units_read_);
  return Question{Asked::kPlain, {visible}, visible};
}

std::optional<Sentence::Question> Sentence::ask() {
  // There is a boundary to ask about only after a word of a language with spaces. Code points count
  // themselves, and a word that so far is only its mark goes on with whatever comes.
  const bool may_end = setup_.target_unit == WordUnit::kSpaced && words_.is_boundary_open();
  const auto units_now =
      units_for(words_.word());  // more than units_read_ only after an early end, or code points
  if (!units_now) return std::nullopt;
  read_to(*units_now);
  const int visible_now = units_.rows_after(units_read_);
  if (!may_end) return Question{Asked::kPlain, {visible_now}, visible_now};

  const auto units_next = units_for(words_.word() + 1);
  if (!units_next) return Question{Asked::kDraft, {visible_now}, visible_now};
  const int visible_next = units_.rows_after(*units_next);
  next_units_ = *units_next;
  if (visible_next == visible_now) return Question{Asked::kPlain, {visible_now}, visible_now};
  // Two rows at once where one by one still fits: near the end of the cache the fork is not worth a sentence.
  const int n_fork_rows = std::max(0, visible_next - timeline_.n_source_rows()) + 2;
  if (setup_.fork == Fork::kNever || n_fork_rows > timeline_.n_free_slots())
    return Question{Asked::kDraft, {visible_now}, visible_now};
  return Question{Asked::kFork, {visible_now, visible_next}, visible_next};
}

std::optional<Sentence::Question> Sentence::begin() {
  const auto units = units_for(words_.word() + 1);
  if (!units) return std::nullopt;
  read_to(*units);
  const int visible = units_.rows_after(units_read_);
  return Question{Asked::kRestricted, {visible}, visible};
}

void Sentence::place_source(int n_rows, std::vector<PassRow>& rows) {
  for (int i = 0; i < n_rows; ++i) {
    const TokenId token = source_tokens_[static_cast<std::size_t>(timeline_.n_source_rows())];
    rows.push_back({.token = token, .place = timeline_.add_source_row()});
  }
}

void Sentence::place_target(const Question& question, std::vector<PassRow>& rows) {
  asked_ = question.asked;
  if (stage_ == Stage::kOpening) {
    for (TokenId token : setup_.prompt->target_prefix) {
      asked_rows_.push_back(
          {.token = token, .place = timeline_.add_target_row(question.visible.front(), RowKind::kKept)});
    }
  } else {
    const bool is_kept = asked_ == Asked::kPlain || asked_ == Asked::kRestricted;
    for (int visible : question.visible) {
      const auto place = timeline_.add_target_row(visible, is_kept ? RowKind::kKept : RowKind::kDraft);
      asked_rows_.push_back({.token = *pending_, .place = place, .wants_logits = true});
      counters_.drafts += is_kept ? 0 : 1;
    }
  }
  asked_rows_.back().wants_logits = true;
  rows.insert(rows.end(), asked_rows_.begin(), asked_rows_.end());
}

// ---- absorbing
// --------------------------------------------------------------------------------------------------

void Sentence::absorb(const Logits& logits) {
  if (asked_ == Asked::kPlain || asked_ == Asked::kRestricted) {
    last_rows_.clear();
    for (const PassRow& row : asked_rows_) last_rows_.push_back(row.place.slot);
  }
  switch (asked_) {
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
  asked_ = Asked::kNothing;
}

std::optional<TokenId> Sentence::best(std::span<const float> logits, Choice choice) const {
  return setup_.sampler->best(logits, choice, words_, repetition_.blocked());
}

bool Sentence::is_boundary(std::span<const float> logits) const {
  return setup_.sampler->is_boundary(logits, words_, repetition_.blocked());
}

void Sentence::absorb_plain(std::span<const float> logits) {
  const auto choice = best(logits, Choice::kAny);
  if (!choice) return fail("the model gave no finite logits");
  if (setup_.sampler->is_end(*choice) || is_too_long()) return is_all_read() ? end_target() : read_one_more();
  const bool ends_word =
      stage_ == Stage::kAsking && setup_.target_unit == WordUnit::kSpaced && words_.would_begin_word(*choice);
  if (ends_word) {
    commit();
    read_to(next_units_);
  }
  write(*choice);
}

void Sentence::absorb_draft(std::span<const float> logits) {
  if (!is_boundary(logits) && !is_too_long()) return go_on(asked_rows_[0], logits);
  drop(asked_rows_[0].place.slot);
  commit();
  stage_ = Stage::kBeginning;
}

void Sentence::absorb_fork(std::span<const float> old_logits, std::span<const float> new_logits) {
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

void Sentence::absorb_restricted(std::span<const float> logits) {
  const auto choice = best(logits, Choice::kBeginningOrEnd);
  if (!choice) return fail("the model gave no finite logits");
  if (setup_.sampler->is_end(*choice) || is_too_long()) return is_all_read() ? end_target() : read_one_more();
  write(*choice);
}

/// The word goes on: the row keeps its word's visibility.
void Sentence::go_on(const PassRow& row, std::span<const float> logits) {
  keep(row);
  const auto choice = best(logits, Choice::kContinuation);
  if (!choice) return fail("the model gave no finite logits");
  write(*choice);
}

void Sentence::keep(const PassRow& row) {
  timeline_.keep(row.place.slot);
  last_rows_.assign(1, row.place.slot);
}

void Sentence::drop(Slot slot) {
  timeline_.drop(slot);
  ++counters_.dropped_rows;
}

void Sentence::write(TokenId id) {
  const int word = words_.word_of_next(id);
  words_.accept(id);
  repetition_.accept(id);
  word_text_ += detokenizer_.accept(id);
  pending_ = id;
  ++n_target_tokens_;
  ++counters_.target_tokens;
  emit(EventKind::kWrite, word, std::string(setup_.bytes[static_cast<std::size_t>(to_int(id))]));
  stage_ = Stage::kAsking;
  if (setup_.target_unit == WordUnit::kCodePoint && words_.word() > n_committed_) commit();
}

void Sentence::commit() {
  const int index = n_committed_;
  n_committed_ = setup_.target_unit == WordUnit::kSpaced ? n_committed_ + 1 : words_.word();
  emit(EventKind::kCommit, index, std::move(word_text_));
  word_text_.clear();
}

void Sentence::end_target() {
  // A mark that nothing followed is no word.
  const bool has_word = word_text_.find_first_not_of(' ') != std::string::npos;
  if (stage_ == Stage::kAsking && has_word) commit();
  ++counters_.target_tokens;
  emit(EventKind::kSentence, n_committed_, std::string());
  stage_ = Stage::kDone;
}

/// An early end (DESIGN 2.2), or a target that has run ahead of what was read: READ one unit more, take the
/// row back and ask again.
void Sentence::read_one_more() {
  min_units_ = units_read_ + 1;
  for (auto slot = last_rows_.rbegin(); slot != last_rows_.rend(); ++slot) drop(*slot);
  last_rows_.clear();
}

void Sentence::fail(std::string reason) {
  emit(EventKind::kFailed, n_committed_, std::move(reason));
  stage_ = Stage::kDone;
}

bool Sentence::is_too_long() const {
  const int n_source_rows = units_.rows_after(units_read_);
  return n_target_tokens_ >= setup_.target_rows_base + setup_.target_rows_per_source_row * n_source_rows;
}

void Sentence::emit(EventKind kind, int index, std::string text) {
  events_.push_back({.kind = kind,
                     .sentence = number_,
                     .index = index,
                     .text = std::move(text),
                     .delay_words = units_.words_after(units_read_),
                     .visible_rows = units_.rows_after(units_read_),
                     .passes = counters_.passes});
}

}  // namespace tandem
