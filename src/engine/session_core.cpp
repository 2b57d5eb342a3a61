#include "engine/session_core.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "text/utf8.h"

namespace tandem {

namespace {

constexpr std::size_t kMaxQueuedWords = 65536;

}  // namespace

SessionCore::SessionCore(SessionParts parts)
    : parts_(std::move(parts)),
      timeline_(parts_.target_start, parts_.span.size, static_cast<int>(parts_.targets.size())),
      segmenter_(parts_.source_unit),
      pass_(1) {
  for (const TargetParts& target : parts_.targets) {
    targets_.push_back({.prompt = &target.prompt,
                        .policy = target.policy.get(),
                        .sampler = target.sampler.get(),
                        .unit = target.unit});
  }
}

SessionCore::~SessionCore() {
  parts_.network->release(parts_.span);
}

// ---- source in
// --------------------------------------------------------------------------------------------------

bool SessionCore::is_queue_full() const {
  return queue_.size() >= kMaxQueuedWords;
}

Push SessionCore::push_text(std::string_view text) {
  if (is_closed_) return Push::kClosed;
  if (is_queue_full()) return Push::kFull;
  enqueue(segmenter_.push(text));
  return Push::kAccepted;
}

Push SessionCore::push_word(std::string_view word, Last last) {
  if (is_closed_) return Push::kClosed;
  if (is_queue_full()) return Push::kFull;
  if (const auto offset = find_invalid_utf8(word)) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("push_word: expected UTF-8, got a bad byte at {}", *offset));
  }
  queue_.push_back({.text = std::string(word), .last = last});
  return Push::kAccepted;
}

void SessionCore::enqueue(std::vector<SourceUnit> words) {
  for (SourceUnit& word : words) {
    queue_.push_back({.text = std::move(word.text), .last = word.is_last ? Last::kYes : Last::kNo});
  }
}

void SessionCore::end_sentence() {
  if (is_closed_) return;
  enqueue(segmenter_.finish());
  queue_.push_back({.is_sentence_end = true});
}

void SessionCore::finish() {
  end_sentence();
  is_closed_ = true;
}

/// Feeds queued words to the sentence under way, up to its end; begins the next one when there is a word for
/// it.
void SessionCore::feed() {
  while (!queue_.empty()) {
    if (sentence_ && sentence_->has_ended_source() && !sentence_->is_done()) return;
    QueuedWord word = std::move(queue_.front());
    queue_.pop_front();
    feed(std::move(word));
  }
}

void SessionCore::feed(QueuedWord word) {
  const bool is_last = word.last == Last::kYes || word.is_sentence_end;
  if (is_skipping_) {
    is_skipping_ = !is_last;
    return;
  }
  if (!sentence_) {
    if (word.is_sentence_end) return;  // nothing was being read
    begin_sentence();
  }
  if (word.is_sentence_end) {
    sentence_->end_source();
  } else {
    add_word(std::move(word));
  }
  if (sentence_->is_done()) {  // it failed: the rest of it is passed over
    sentence_.reset();
    timeline_.clear();
    is_skipping_ = !is_last;
  }
}

void SessionCore::begin_sentence() {
  n_source_rows_evaluated_ = 0;
  n_words_in_sentence_ = 0;
  sentence_.emplace(parts_.setup, targets_, n_sentences_++, timeline_, counters_, events_);
}

void SessionCore::add_word(QueuedWord word) {
  try {
    const auto tokens = parts_.tokenize_word(word.text, n_words_in_sentence_++ == 0);
    sentence_->add_word(std::move(word.text), tokens, word.last);
  } catch (const Error& error) {  // what a tokenizer cannot take ends this sentence alone
    sentence_->fail(error.what());
  }
}

// ---- passes
// -----------------------------------------------------------------------------------------------------

Progress SessionCore::step() {
  const RowRequest wanted = request(parts_.forks_pay_alone);
  const int n_rows = parts_.network->max_rows_per_pass();
  share_rows(std::span(&wanted, 1), {.rows = n_rows, .source_rows = n_rows, .cheap_rows = n_rows}, grants_);
  if (!grants_.front().is_empty()) {
    place(grants_.front(), pass_.front());
    absorb(parts_.network->evaluate(pass_));
  }
  return settle();
}

RowRequest SessionCore::request(bool forks_pay) {
  request_ = {};
  has_rows_ = false;
  if (is_cancelled_) return request_;
  feed();
  if (sentence_) request_ = sentence_->request(forks_pay);
  return request_;
}

void SessionCore::place(const RowGrant& grant, SessionRows& part) {
  part.span = parts_.span;
  part.adapter = parts_.adapter;
  part.rows.clear();
  sentence_->place(grant, part.rows);
  part.cached = timeline_.rows();
  has_rows_ = true;
  count_pass(part);
}

void SessionCore::absorb(const Logits& logits) {
  sentence_->absorb(logits);
}

Progress SessionCore::settle() {
  if (is_cancelled_) return Progress::kCancelled;
  const bool has_asked = request_.source_rows + request_.target_rows > 0;
  n_waited_ = has_asked && !has_rows_ ? n_waited_ + 1 : 0;
  request_ = {};
  if (sentence_ && sentence_->is_done()) {
    is_skipping_ = !sentence_->has_ended_source();
    sentence_.reset();
    timeline_.clear();
    return queue_.empty() && is_closed_ ? Progress::kFinished : Progress::kMore;
  }
  if (has_asked || has_rows_) return Progress::kMore;
  return is_closed_ && !sentence_ ? Progress::kFinished : Progress::kNeedsInput;
}

void SessionCore::count_pass(const SessionRows& part) {
  ++counters_.passes;
  counters_.rows += static_cast<std::int64_t>(part.rows.size());
  for (const PassRow& row : part.rows) {
    counters_.logit_rows += row.wants_logits ? 1 : 0;
    if (!row.place.group.is_source()) continue;
    ++counters_.source_rows;
    counters_.rows_twice += row.place.index < n_source_rows_evaluated_ ? 1 : 0;
    n_source_rows_evaluated_ = std::max(n_source_rows_evaluated_, row.place.index + 1);
  }
}

std::vector<Event> SessionCore::poll() {
  std::vector<Event> events(std::make_move_iterator(events_.begin()), std::make_move_iterator(events_.end()));
  events_.clear();
  return events;
}

void SessionCore::cancel() {
  is_cancelled_ = true;
  is_closed_ = true;
  sentence_.reset();
  timeline_.clear();
  queue_.clear();
}

void SessionCore::reset() {
  cancel();
  events_.clear();
  segmenter_ = Segmenter(parts_.source_unit);
  is_skipping_ = false;
  is_closed_ = false;
  is_cancelled_ = false;
}

std::int64_t SessionCore::memory_bytes() const {
  std::size_t bytes = sizeof(*this) + timeline_.rows().size() * sizeof(RowPlace);
  for (const QueuedWord& word : queue_) bytes += sizeof(word) + word.text.capacity();
  for (const Event& event : events_) bytes += sizeof(event) + event.text.capacity();
  return parts_.span_bytes + static_cast<std::int64_t>(bytes);
}

}  // namespace tandem
