#include "eval/session_load.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

namespace tandem {
namespace {

/// A session with its place in the text.
class Lane {
 public:
  Lane(Engine& engine, const SessionLoad& load, int index)
      : load_(load), index_(index), session_(engine.open(load.session)) {}

  void begin(double now) {
    start_ = begun_ = last_event_ = now;
    if (load_.pace > 0) start_ += index_ / (load_.pace * load_.n_sessions);
  }

  Session& session() { return session_; }
  const Session& session() const { return session_; }
  /// Whether a step may bring something.
  bool is_ready() const { return is_ready_; }
  int n_done() const { return n_done_; }

  /// The words that have arrived, as far as the session's queue has room for them.
  void push(double now) {
    while (has_arrived(now)) {
      const LoadSentence& sentence = sentence_at(n_read_);
      const bool is_last = word_ + 1 == sentence.words.size();
      if (session_.push_word(sentence.words[word_], is_last ? Last::kYes : Last::kNo) != Push::kAccepted)
        return;
      is_ready_ = true;
      ++n_pushed_;
      ++word_;
      if (!is_last) continue;
      word_ = 0;
      ++n_read_;
    }
  }

  /// When the next word comes; of a paced load only.
  double next_arrival() const { return arrival(n_pushed_); }

  /// What a step that has ended at `now` brought.
  void collect(Progress progress, double now, LoadResult& result) {
    is_ready_ = progress == Progress::kMore;
    for (Event& event : session_.poll()) {
      if (event.kind == EventKind::kCommit) {
        commit(event, now, result);
      } else if (event.kind == EventKind::kSentence) {
        end_sentence(now, result);
      } else if (event.kind == EventKind::kFailed) {
        throw Error(ErrorCode::kUnsupported, fmt::format("{}: {}", sentence_at(n_done_).place, event.text));
      }
    }
  }

 private:
  std::size_t text_index(int n) const { return static_cast<std::size_t>(index_ + n) % load_.text.size(); }
  const LoadSentence& sentence_at(int n) const { return load_.text[text_index(n)]; }

  /// Of a word, counted from the session's first.
  double arrival(std::int64_t word) const {
    return load_.pace > 0 ? start_ + static_cast<double>(word) / load_.pace : begun_;
  }

  bool has_arrived(double now) const { return load_.pace > 0 ? next_arrival() <= now : n_read_ == n_done_; }

  void commit(const Event& event, double now, LoadResult& result) {
    const double arrived = event.delay_words > 0 ? arrival(first_word_ + event.delay_words - 1) : begun_;
    result.commit_seconds.push_back(now - std::max(arrived, last_event_));
    result.lag_seconds.push_back(now - arrived);
    result.bytes_per_session = std::max(result.bytes_per_session, session_.memory_bytes());
    ++result.n_words;
    last_event_ = now;
    text_ += event.text;
  }

  void end_sentence(double now, LoadResult& result) {
    if (load_.on_translation) {
      const std::string_view text = std::string_view(text_).substr(text_.starts_with(' ') ? 1 : 0);
      load_.on_translation({.session = index_, .sentence = text_index(n_done_), .text = text});
    }
    ++result.n_sentences;
    first_word_ += static_cast<std::int64_t>(sentence_at(n_done_).words.size());
    ++n_done_;
    text_.clear();
    begun_ = last_event_ = now;
  }

  const SessionLoad& load_;
  int index_;
  Session session_;
  double start_ = 0;             // when its first word arrives
  double begun_ = 0;             // when the sentence under way was free to begin
  double last_event_ = 0;        // the last commit or end of a sentence
  int n_read_ = 0;               // sentences that were pushed whole
  std::size_t word_ = 0;         // the next one to push of the sentence after those
  std::int64_t n_pushed_ = 0;    // words
  int n_done_ = 0;               // sentences that have ended
  std::int64_t first_word_ = 0;  // of the sentence under way
  std::string text_;             // committed of it
  bool is_ready_ = false;
};

class LoadRun {
 public:
  LoadRun(Engine& engine, const SessionLoad& load) : engine_(engine), load_(load) {
    lanes_.reserve(static_cast<std::size_t>(load.n_sessions));
    for (int i = 0; i < load.n_sessions; ++i) lanes_.emplace_back(engine, load, i);
  }

  std::optional<LoadResult> run() {
    start_ = now_ = load_.clock.now();
    for (Lane& lane : lanes_) lane.begin(start_);
    while (!is_done()) {
      if (load_.stop.stop_requested()) return std::nullopt;
      const std::vector<Lane*> ready = ready_lanes();
      if (ready.empty())
        wait_for_words();
      else
        step(ready);
      now_ = load_.clock.now();
      for (std::size_t i = 0; i < ready.size(); ++i) ready[i]->collect(progress_[i], now_, result_);
      if (load_.on_progress) load_.on_progress(fraction_done());
    }
    return result();
  }

 private:
  std::vector<Lane*> ready_lanes() {
    std::vector<Lane*> ready;
    for (Lane& lane : lanes_) {
      lane.push(now_);
      if (lane.is_ready()) ready.push_back(&lane);
    }
    return ready;
  }

  void wait_for_words() {
    TANDEM_CHECK(load_.pace > 0);  // otherwise the next word is always there
    double next = std::numeric_limits<double>::infinity();
    for (const Lane& lane : lanes_) next = std::min(next, lane.next_arrival());
    load_.clock.wait_until(next);
  }

  void step(std::span<Lane* const> ready) {
    std::vector<Session*> sessions;
    sessions.reserve(ready.size());
    for (Lane* lane : ready) sessions.push_back(&lane->session());
    const std::int64_t n_before = engine_.n_shared_passes();
    progress_ = engine_.step(sessions);
    result_.n_passes += engine_.n_shared_passes() - n_before;
  }

  double fraction_done() const {
    if (load_.seconds > 0) return (now_ - start_) / load_.seconds;
    std::int64_t n_done = 0;
    for (const Lane& lane : lanes_) n_done += std::min(lane.n_done(), load_.n_sentences);
    return static_cast<double>(n_done) / (static_cast<double>(load_.n_sentences) * load_.n_sessions);
  }

  bool is_done() const { return fraction_done() >= 1; }

  LoadResult result() {
    for (const Lane& lane : lanes_) {
      result_.n_tokens += lane.session().counters().target_tokens;
      result_.n_rows += lane.session().counters().rows;
    }
    result_.seconds = now_ - start_;
    return std::move(result_);
  }

  Engine& engine_;
  const SessionLoad& load_;
  double start_ = 0;
  double now_ = 0;
  std::vector<Lane> lanes_;
  std::span<const Progress> progress_;  // of the lanes of the last step
  LoadResult result_;
};

}  // namespace

std::optional<LoadResult> run_load(Engine& engine, const SessionLoad& load) {
  TANDEM_CHECK(!load.text.empty() && load.n_sessions > 0 && load.n_sentences > 0);
  return LoadRun(engine, load).run();
}

}  // namespace tandem
