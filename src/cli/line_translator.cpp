#include "cli/line_translator.h"

#include <algorithm>
#include <utility>

#include "cli/interrupt.h"
#include "text/utf8.h"

namespace tandem {
namespace {

Counters difference(const Counters& after, const Counters& before) {
  return {.passes = after.passes - before.passes,
          .rows = after.rows - before.rows,
          .source_rows = after.source_rows - before.source_rows,
          .logit_rows = after.logit_rows - before.logit_rows,
          .drafts = after.drafts - before.drafts,
          .dropped_rows = after.dropped_rows - before.dropped_rows,
          .rows_twice = after.rows_twice - before.rows_twice,
          .target_tokens = after.target_tokens - before.target_tokens};
}

}  // namespace

LineTranslator::LineTranslator(Engine& engine, const SessionOptions& options, Clock::duration word_interval)
    : engine_(engine),
      options_(options),
      session_(engine.open(options)),
      word_interval_(word_interval),
      next_word_(Clock::now()) {}

bool LineTranslator::is_done() const {
  return std::all_of(has_ended_.begin(), has_ended_.end(), [](bool has_ended) { return has_ended; });
}

std::optional<LineOutcome> LineTranslator::translate(std::string_view line, const LineObserver& observer) {
  const std::size_t n_targets = options_.target_languages.size();
  const std::vector<std::string_view> words = split_words(line);
  line_ = {.targets = std::vector<LineResult>(n_targets)};
  if (words.empty()) return line_;
  has_ended_.assign(n_targets, false);
  n_pushed_ = 0;
  const Counters before = session_->counters();
  next_word_ = std::max(next_word_, Clock::now());
  std::size_t n_arrived = 0;
  while (!is_done()) {
    if (is_interrupted()) return std::nullopt;
    for (; n_arrived < words.size() && Clock::now() >= next_word_; next_word_ += word_interval_) {
      if (observer.on_word) observer.on_word(words[n_arrived]);
      ++n_arrived;
    }
    if (advance(words, n_arrived, observer)) continue;
    TANDEM_CHECK(n_arrived < words.size() || is_done());
    if (observer.on_wait) observer.on_wait();
    if (n_arrived < words.size() && !is_done()) sleep_until(next_word_);
  }
  line_.cost = difference(session_->counters(), before);
  end_line();
  return std::move(line_);
}

bool LineTranslator::advance(std::span<const std::string_view> words, std::size_t n_arrived,
                             const LineObserver& observer) {
  Progress progress = Progress::kMore;
  std::vector<Event> events;
  try {
    push(words, n_arrived);
    const Clock::time_point start = Clock::now();
    progress = session_->step();
    line_.seconds += std::chrono::duration<double>(Clock::now() - start).count();
    events = session_->poll();
  } catch (const Error& error) {  // a bug ends one line, not the program
    for (std::size_t i = 0; i < has_ended_.size(); ++i) {
      if (!has_ended_[i]) fail(i, error.what());
    }
    return false;
  }
  for (Event& event : events) {  // outside: an observer that cannot write ends the program
    if (observer.on_event) observer.on_event(static_cast<std::size_t>(event.target), event);
    take(std::move(event));
  }
  return !is_done() && (progress == Progress::kMore || n_pushed_ < n_arrived);
}

void LineTranslator::push(std::span<const std::string_view> words, std::size_t n_arrived) {
  for (; n_pushed_ < n_arrived; ++n_pushed_) {
    const Last last = n_pushed_ + 1 == words.size() ? Last::kYes : Last::kNo;
    if (session_->push_word(words[n_pushed_], last) != Push::kAccepted) return;  // full: step first
  }
}

void LineTranslator::take(Event event) {
  const auto target = static_cast<std::size_t>(event.target);
  LineResult& result = line_.targets[target];
  if (event.kind == EventKind::kFailed) return fail(target, std::move(event.text));
  if (event.kind == EventKind::kCommit) {
    const bool is_first = result.text.empty();
    const std::size_t front = is_first ? std::min(event.text.find_first_not_of(' '), event.text.size()) : 0;
    result.text.append(event.text, front);
    result.commits.push_back(std::move(event));
  } else if (event.kind == EventKind::kSentence) {
    has_ended_[target] = true;
  }
}

/// After a failure the session begins anew: words of this line may be left in it, or a broken pass.
void LineTranslator::end_line() {
  const auto has_failed = [](const LineResult& result) { return result.error.has_value(); };
  if (std::any_of(line_.targets.begin(), line_.targets.end(), has_failed)) session_->reset();
}

void LineTranslator::fail(std::size_t target, std::string reason) {
  LineResult& result = line_.targets[target];
  result.text.clear();
  result.commits.clear();
  result.error = std::move(reason);
  has_ended_[target] = true;
}

}  // namespace tandem
