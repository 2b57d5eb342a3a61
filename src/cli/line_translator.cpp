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

LineTranslator::LineTranslator(Engine& engine, const SessionOptions& options,
                               std::span<const std::string> languages, Clock::duration word_interval)
    : engine_(engine), word_interval_(word_interval), next_word_(Clock::now()) {
  for (const std::string& language : languages) {
    Target& target = targets_.emplace_back();
    target.options = options;
    target.options.target_language = language;
    target.session.emplace(engine_.open(target.options));
  }
}

void LineTranslator::begin_line() {
  for (Target& target : targets_) {
    target.n_pushed = 0;
    target.is_done = false;
    target.result = {};
    target.result.cost = target.session->counters();  // as they were; the difference is taken at the end
  }
}

std::optional<std::vector<LineResult>> LineTranslator::translate(std::string_view line,
                                                                 const LineObserver& observer) {
  const std::vector<std::string_view> words = split_words(line);
  if (words.empty()) return std::vector<LineResult>(targets_.size());
  begin_line();
  next_word_ = std::max(next_word_, Clock::now());
  std::size_t n_arrived = 0;
  const auto is_done = [](const Target& target) { return target.is_done; };
  while (!std::all_of(targets_.begin(), targets_.end(), is_done)) {
    if (is_interrupted()) return std::nullopt;
    for (; n_arrived < words.size() && Clock::now() >= next_word_; next_word_ += word_interval_) {
      if (observer.on_word) observer.on_word(words[n_arrived]);
      ++n_arrived;
    }
    bool has_more = false;
    for (std::size_t i = 0; i < targets_.size(); ++i) {
      if (!targets_[i].is_done) has_more |= advance(i, words, n_arrived, observer);
    }
    if (has_more) continue;
    TANDEM_CHECK(n_arrived < words.size() || std::all_of(targets_.begin(), targets_.end(), is_done));
    if (observer.on_wait) observer.on_wait();
    if (n_arrived < words.size()) sleep_until(next_word_);
  }
  std::vector<LineResult> results;
  for (Target& target : targets_) results.push_back(std::move(target.result));
  return results;
}

bool LineTranslator::advance(std::size_t index, std::span<const std::string_view> words,
                             std::size_t n_arrived, const LineObserver& observer) {
  Target& target = targets_[index];
  Progress progress = Progress::kMore;
  std::vector<Event> events;
  try {
    push(target, words, n_arrived);
    const Clock::time_point start = Clock::now();
    progress = target.session->step();
    target.result.seconds += std::chrono::duration<double>(Clock::now() - start).count();
    events = target.session->poll();
  } catch (const Error& error) {  // a bug ends one session, not the program
    target.session = std::nullopt;
    target.session.emplace(engine_.open(target.options));
    target.result.cost = {};
    fail(target, error.what());
    return false;
  }
  for (Event& event : events) {  // outside: an observer that cannot write ends the program
    if (observer.on_event) observer.on_event(index, event);
    take(target, std::move(event));
    if (target.is_done) return false;
  }
  return progress == Progress::kMore || target.n_pushed < n_arrived;
}

void LineTranslator::push(Target& target, std::span<const std::string_view> words, std::size_t n_arrived) {
  for (; target.n_pushed < n_arrived; ++target.n_pushed) {
    const Last last = target.n_pushed + 1 == words.size() ? Last::kYes : Last::kNo;
    if (target.session->push_word(words[target.n_pushed], last) != Push::kAccepted)
      return;  // full: step first
  }
}

void LineTranslator::take(Target& target, Event event) {
  LineResult& result = target.result;
  if (event.kind == EventKind::kFailed) {
    target.session->reset();  // words of this line that were not looked at
    return fail(target, std::move(event.text));
  }
  if (event.kind == EventKind::kCommit) {
    const bool is_first = result.text.empty();
    const std::size_t front = is_first ? std::min(event.text.find_first_not_of(' '), event.text.size()) : 0;
    result.text.append(event.text, front);
    result.commits.push_back(std::move(event));
  } else if (event.kind == EventKind::kSentence) {
    result.cost = difference(target.session->counters(), result.cost);
    target.is_done = true;
  }
}

void LineTranslator::fail(Target& target, std::string reason) {
  target.result.text.clear();
  target.result.commits.clear();
  target.result.error = std::move(reason);
  target.is_done = true;
}

}  // namespace tandem
