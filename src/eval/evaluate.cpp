#include "eval/evaluate.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <system_error>

#include "eval/bleu.h"
#include "eval/check_pairs.h"
#include "eval/unicode.h"
#include "text/utf8.h"
#include "text/word_tracker.h"

namespace tandem {
namespace {

using Clock = std::chrono::steady_clock;

/// A session and the line that it is at. The session is kept for all lines; opened anew only after a bug of
/// ours has ended it.
class Lane {
 public:
  Lane(Engine& engine, const SessionOptions& options)
      : engine_(engine), options_(options), unit_(scoring_of(options.target_languages.front()).unit) {
    session_.emplace(engine_.open(options_));
  }

  bool is_free() const { return !is_busy_; }
  std::size_t line() const { return line_; }
  Session& session() { return *session_; }

  void take(std::size_t line, std::vector<std::string_view> words) {
    line_ = line;
    words_ = std::move(words);
    n_pushed_ = 0;
    commits_.clear();
    is_busy_ = true;
  }

  /// As much of the line as the session's queue has room for.
  void push() {
    for (; n_pushed_ < words_.size(); ++n_pushed_) {
      const Last last = n_pushed_ + 1 == words_.size() ? Last::kYes : Last::kNo;
      if (session_->push_word(words_[n_pushed_], last) != Push::kAccepted) return;
    }
  }

  /// What the last step brought: the line's translation, if it has ended.
  std::optional<Translation> collect(Progress progress) {
    for (Event& event : session_->poll()) {
      if (event.kind == EventKind::kCommit) {
        commits_.push_back(std::move(event));
      } else if (event.kind == EventKind::kSentence) {
        return end(translation());
      } else if (event.kind == EventKind::kFailed) {
        session_->reset();
        return end({.error = std::move(event.text)});
      }
    }
    TANDEM_CHECK(progress == Progress::kMore || n_pushed_ < words_.size());
    return std::nullopt;
  }

  /// The pass that the session was in has failed.
  Translation fail(std::string reason) {
    past_ = counters();
    session_ = std::nullopt;  // its place is needed
    session_.emplace(engine_.open(options_));
    return end({.error = std::move(reason)});
  }

  Counters counters() const {
    Counters sum = past_;
    const Counters& now = session_->counters();
    sum.passes += now.passes;
    sum.target_tokens += now.target_tokens;
    sum.rows_twice += now.rows_twice;
    return sum;
  }

 private:
  Translation end(Translation translation) {
    is_busy_ = false;
    return translation;
  }

  Translation translation() const {
    Translation out;
    for (const Event& commit : commits_) out.text += commit.text;
    const std::size_t front = out.text.find_first_not_of(' ');
    out.text.erase(0, std::min(front, out.text.size()));
    out.delays = unit_delays(commits_, unit_);
    return out;
  }

  Engine& engine_;
  SessionOptions options_;
  LatencyUnit unit_;
  std::optional<Session> session_;
  Counters past_;  // of sessions that a bug ended
  std::size_t line_ = 0;
  std::vector<std::string_view> words_;
  std::size_t n_pushed_ = 0;
  std::vector<Event> commits_;
  bool is_busy_ = false;
};

/// All lines, several at a time, each as soon as a session is free for it.
class LineRunner {
 public:
  using OnDone = std::function<void(std::size_t line, Translation translation)>;

  LineRunner(Engine& engine, const EvaluationTask& task, OnDone on_done)
      : engine_(engine), task_(task), on_done_(std::move(on_done)) {
    lanes_.reserve(static_cast<std::size_t>(task.n_sessions));
    for (int i = 0; i < task.n_sessions; ++i) lanes_.emplace_back(engine, task.session);
  }

  /// False if the task's `stop` asked for an end.
  bool run() {
    for (;;) {
      give_out_lines();
      std::vector<Lane*> busy;
      for (Lane& lane : lanes_)
        if (!lane.is_free()) busy.push_back(&lane);
      if (busy.empty()) return true;
      if (task_.stop.stop_requested()) return false;
      step(busy);
    }
  }

  Counters counters() const {
    Counters sum;
    for (const Lane& lane : lanes_) {
      const Counters own = lane.counters();
      sum.passes += own.passes;
      sum.target_tokens += own.target_tokens;
      sum.rows_twice += own.rows_twice;
    }
    return sum;
  }

 private:
  void give_out_lines() {
    for (Lane& lane : lanes_) {
      while (lane.is_free() && next_line_ < task_.sources.size()) {
        const std::size_t line = next_line_++;
        auto words = split_words(task_.sources[line]);
        if (words.empty())
          on_done_(line, {});
        else
          lane.take(line, std::move(words));
      }
    }
  }

  void step(std::span<Lane* const> busy) {
    std::vector<Session*> sessions;
    for (Lane* lane : busy) {
      lane->push();
      sessions.push_back(&lane->session());
    }
    std::span<const Progress> progress;
    try {
      progress = engine_.step(sessions);
    } catch (const Error& error) {
      for (Lane* lane : busy) on_done_(lane->line(), lane->fail(error.what()));
      return;
    }
    for (std::size_t i = 0; i < busy.size(); ++i) {
      if (auto translation = busy[i]->collect(progress[i]))
        on_done_(busy[i]->line(), *std::move(translation));
    }
  }

  Engine& engine_;
  const EvaluationTask& task_;
  OnDone on_done_;
  std::vector<Lane> lanes_;
  std::size_t next_line_ = 0;
};

std::string joined(std::span<const std::string_view> words) {
  std::string out;
  for (std::string_view word : words) out.append(out.empty() ? "" : " ").append(word);
  return out;
}

void score(Evaluation& evaluation, const EvaluationTask& task) {
  const LanguageScoring scoring = scoring_of(task.session.target_languages.front());
  std::vector<std::string> predictions;
  std::vector<std::optional<Latency>> latencies;
  for (std::size_t i = 0; i < evaluation.instances.size(); ++i) {
    const Instance& instance = evaluation.instances[i];
    predictions.push_back(instance.prediction);
    latencies.push_back(latency_of({.delays = instance.delays,
                                    .source_length = instance.source_length,
                                    .reference_length = reference_length(task.references[i], scoring.unit)}));
  }
  const Bleu bleu = corpus_bleu(predictions, task.references, {.tokenizer = scoring.tokenizer});
  evaluation.bleu = bleu.score;
  evaluation.latency = mean_latency(latencies);
  const auto reference_tokens = static_cast<double>(bleu.counts.reference_length);
  if (reference_tokens > 0) {
    evaluation.length_ratio = static_cast<double>(bleu.counts.system_length) / reference_tokens;
  }
}

void count_cost(Evaluation& evaluation, const Counters& counters, double seconds) {
  std::size_t n_words = 0;
  for (const Instance& instance : evaluation.instances) n_words += instance.delays.size();
  if (counters.target_tokens > 0) {
    evaluation.passes_per_token =
        static_cast<double>(counters.passes) / static_cast<double>(counters.target_tokens);
  }
  evaluation.rows_twice = counters.rows_twice;
  if (seconds > 0) evaluation.words_per_second = static_cast<double>(n_words) / seconds;
}

}  // namespace

LanguageScoring scoring_of(std::string_view target_language) {
  if (word_unit_of(target_language) == WordUnit::kSpaced) return {};
  const bool is_chinese = target_language.substr(0, 2) == "zh";
  return {.tokenizer = is_chinese ? Tokenizer::kZh : Tokenizer::kChar, .unit = LatencyUnit::kChar};
}

std::vector<double> unit_delays(std::span<const Event> commits, LatencyUnit unit) {
  std::vector<double> delays;
  double delay = 0;
  bool is_in_word = false;
  for (const Event& commit : commits) {
    for (std::string_view rest = commit.text; !rest.empty();) {
      const Utf8Step step = next_utf8(rest);
      rest.remove_prefix(step.n_bytes);
      const bool ends_word = step.status == Utf8Status::kWhole && is_space(step.code_point);
      if (unit == LatencyUnit::kChar && !ends_word) delays.push_back(commit.delay_words);
      if (unit == LatencyUnit::kWord && ends_word && is_in_word) delays.push_back(delay);
      is_in_word = !ends_word;
      delay = commit.delay_words;
    }
  }
  if (unit == LatencyUnit::kWord && is_in_word) delays.push_back(delay);
  return delays;
}

std::optional<Evaluation> evaluate(Engine& engine, const EvaluationTask& task) {
  check_pairs("evaluate", task.sources.size(), task.references.size());
  Evaluation evaluation{.k = task.session.k, .sentences = static_cast<std::int64_t>(task.sources.size())};
  evaluation.instances.resize(task.sources.size());
  std::size_t n_done = 0;
  LineRunner runner(engine, task, [&](std::size_t line, Translation translation) {
    if (translation.error) evaluation.failures.push_back({line, *std::move(translation.error)});
    Instance& instance = evaluation.instances[line];
    instance.index = static_cast<std::int64_t>(line);
    instance.prediction = std::move(translation.text);
    instance.delays = std::move(translation.delays);
    if (task.on_line) task.on_line(++n_done);
  });
  const Clock::time_point start = Clock::now();
  if (!runner.run()) return std::nullopt;
  const std::chrono::duration<double> elapsed = Clock::now() - start;
  for (std::size_t line = 0; line < task.sources.size(); ++line) {
    Instance& instance = evaluation.instances[line];
    const std::vector<std::string_view> words = split_words(task.sources[line]);
    instance.elapsed.assign(instance.delays.size(), 0.0);
    instance.reference = task.references[line] + "\n";
    instance.source = joined(words);
    instance.source_length = static_cast<double>(words.size());
  }
  std::sort(evaluation.failures.begin(), evaluation.failures.end(),
            [](const LineFailure& a, const LineFailure& b) { return a.line < b.line; });
  score(evaluation, task);
  count_cost(evaluation, runner.counters(), elapsed.count());
  return evaluation;
}

void write_evaluation(const std::filesystem::path& folder, const Evaluation& evaluation) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) {
    throw Error(ErrorCode::kIo,
                fmt::format("{}: the folder cannot be made: {}", folder.string(), error.message()));
  }
  std::vector<NamedScore> scores = {{"BLEU", evaluation.bleu}};
  if (const auto& latency = evaluation.latency) {
    scores.insert(scores.end(), {{"LAAL", latency->laal},
                                 {"AL", latency->al},
                                 {"AP", latency->ap},
                                 {"DAL", latency->dal},
                                 {"ATD", latency->atd}});
  }
  write_instances_log(folder / "instances.log", evaluation.instances);
  write_scores_tsv(folder / "scores.tsv", scores);
  write_config_yaml(folder / "config.yaml", SourceKind::kText);
}

}  // namespace tandem
