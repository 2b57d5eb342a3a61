#include "bench/reference_loop.h"

#include <algorithm>

#include "tandem/error.h"

namespace tandem::bench {

ReferenceLoop::ReferenceLoop(const StreamSetup& setup, Network& network, const ReferenceOptions& options)
    : setup_(setup),
      options_(options),
      wait_k_(options.k),
      sampler_(setup.model->vocabulary()->pieces(), setup.prompt.end, setup.head().ids),
      network_(network),
      timeline_(setup.target_start, options.n_slots),
      words_(setup.model->vocabulary()->pieces(), WordUnit::kSpaced),
      repetition_(0),
      detokenizer_(*setup.model->vocabulary()) {
  session_.span = network_.reserve(options.n_slots);
  session_.adapter = setup.adapter;
}

ReferenceLoop::~ReferenceLoop() {
  network_.release(session_.span);
}

std::string ReferenceLoop::translate(std::span<const std::vector<TokenId>> words) {
  begin(words);
  read_to(units_for(0));
  auto next = write(setup_.prompt.target_prefix, Choice::kAny);
  while (next) {
    accept(*next);
    next = write_after(*next);
  }
  ++n_tokens_;  // the end
  text_.erase(text_.find_last_not_of(' ') + 1);
  return std::move(text_);
}

void ReferenceLoop::begin(std::span<const std::vector<TokenId>> words) {
  const Prompt& prompt = setup_.prompt;
  timeline_.clear();
  source_ = prompt.source_prefix;
  units_ = SourceUnits(static_cast<int>(prompt.source_prefix.size()));
  for (const auto& word : words) {
    source_.insert(source_.end(), word.begin(), word.end());
    units_.add_word(static_cast<int>(word.size()));
  }
  source_.insert(source_.end(), prompt.source_suffix.begin(), prompt.source_suffix.end());
  units_.add_suffix(static_cast<int>(prompt.source_suffix.size()), setup_.end_marker);
  units_read_ = 0;
  words_ = WordTracker(setup_.model->vocabulary()->pieces(), WordUnit::kSpaced);
  repetition_ = RepetitionBlock(options_.no_repeat_ngram);
  detokenizer_.finish();
  text_.clear();
  n_target_tokens_ = 0;
}

int ReferenceLoop::units_for(int word) const {
  return std::max(units_read_, wait_k_.units_for_word(word, units_.n_units()));
}

/// The source's rows up to there, in one pass: k words at first, then a word each time.
void ReferenceLoop::read_to(int n_units) {
  units_read_ = n_units;
  session_.rows.clear();
  while (timeline_.n_source_rows() < visible()) {
    const TokenId token = source_[static_cast<std::size_t>(timeline_.n_source_rows())];
    session_.rows.push_back({.token = token, .place = timeline_.add_source_row()});
  }
  if (!session_.rows.empty()) (void)evaluate();
}

/// The token that follows; none at the end. An end before the source's READs on and asks again.
std::optional<TokenId> ReferenceLoop::write(std::span<const TokenId> tokens, Choice choice) {
  for (;;) {
    const TokenId next = best(feed(tokens), choice);
    if (!is_over(next)) return next;
    if (is_all_read()) return std::nullopt;
    take_back(tokens.size());
    read_to(units_read_ + 1);
  }
}

/// The token after `last`: of the same word, or, after a look-ahead that is thrown away, of the next.
std::optional<TokenId> ReferenceLoop::write_after(TokenId last) {
  const std::span<const TokenId> row(&last, 1);
  if (!words_.is_boundary_open()) return write(row, Choice::kAny);
  const int units_next = units_for(words_.word() + 1);
  const bool sees_more = units_.rows_after(units_next) > visible();
  const auto logits = feed(row);
  if (!sees_more) {
    const TokenId next = best(logits, Choice::kAny);
    if (is_over(next) && is_all_read()) return std::nullopt;
    if (!is_over(next) && !words_.would_begin_word(next)) return next;
  } else if (!sampler_.is_boundary(logits, words_, repetition_.blocked()) &&
             !is_over(best(logits, Choice::kContinuation))) {
    return best(logits, Choice::kContinuation);
  }
  take_back(1);
  read_to(units_next);
  return write(row, sees_more ? Choice::kBeginningOrEnd : Choice::kAny);
}

void ReferenceLoop::accept(TokenId token) {
  words_.accept(token);
  repetition_.accept(token);
  text_ += detokenizer_.accept(token);
  ++n_target_tokens_;
  ++n_tokens_;
}

/// A pass of target rows that see what was read; logits of the last one.
std::span<const float> ReferenceLoop::feed(std::span<const TokenId> tokens) {
  session_.rows.clear();
  for (const TokenId token : tokens) {
    session_.rows.push_back({.token = token, .place = timeline_.add_target_row(visible(), RowKind::kKept)});
  }
  session_.rows.back().wants_logits = true;
  return evaluate().row(0);
}

/// The rows of the last pass.
void ReferenceLoop::take_back(std::size_t n_rows) {
  TANDEM_CHECK(session_.rows.size() == n_rows);
  for (auto row = session_.rows.rbegin(); row != session_.rows.rend(); ++row) timeline_.drop(row->place.slot);
}

Logits ReferenceLoop::evaluate() {
  ++n_passes_;
  n_rows_ += std::ssize(session_.rows);
  session_.cached = timeline_.rows();
  return network_.evaluate(std::span(&session_, 1));
}

TokenId ReferenceLoop::best(std::span<const float> logits, Choice choice) const {
  const auto token = sampler_.best(logits, choice, words_, repetition_.blocked());
  if (!token) throw Error(ErrorCode::kInternal, "reference loop: the model gave no finite logits");
  return *token;
}

bool ReferenceLoop::is_over(TokenId token) const {
  const int most = options_.target_rows_base + options_.target_rows_per_source_row * visible();
  return sampler_.is_end(token) || n_target_tokens_ >= most;
}

}  // namespace tandem::bench
