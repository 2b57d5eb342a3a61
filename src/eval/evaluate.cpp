#include "eval/evaluate.h"

#include <fmt/format.h>

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

/// One session, kept for all lines; opened anew only after a bug of ours has ended it.
class LineRunner {
 public:
  LineRunner(Engine& engine, const SessionOptions& options)
      : engine_(engine), options_(options), unit_(scoring_of(options.target_language).unit) {
    session_.emplace(engine_.open(options_));
  }

  /// Nothing if `stop` asked for an end.
  std::optional<Translation> translate(std::span<const std::string_view> words, const std::stop_token& stop) {
    if (words.empty()) return Translation{};
    try {
      return run(words, stop);
    } catch (const Error& error) {
      past_ = counters();
      session_ = std::nullopt;  // its place is needed
      session_.emplace(engine_.open(options_));
      return Translation{.error = error.what()};
    }
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
  std::optional<Translation> run(std::span<const std::string_view> words, const std::stop_token& stop) {
    std::vector<Event> commits;
    std::size_t n_pushed = 0;
    while (!stop.stop_requested()) {
      push(words, n_pushed);
      const Progress progress = session_->step();
      for (Event& event : session_->poll()) {
        if (event.kind == EventKind::kCommit)
          commits.push_back(std::move(event));
        else if (event.kind == EventKind::kSentence)
          return translation(commits);
        else if (event.kind == EventKind::kFailed) {
          session_->reset();
          return Translation{.error = std::move(event.text)};
        }
      }
      TANDEM_CHECK(progress == Progress::kMore || n_pushed < words.size());
    }
    return std::nullopt;
  }

  void push(std::span<const std::string_view> words, std::size_t& n_pushed) {
    for (; n_pushed < words.size(); ++n_pushed) {
      const Last last = n_pushed + 1 == words.size() ? Last::kYes : Last::kNo;
      if (session_->push_word(words[n_pushed], last) != Push::kAccepted)
        return;  // the queue is full: step first
    }
  }

  Translation translation(std::span<const Event> commits) const {
    Translation out;
    for (const Event& commit : commits) out.text += commit.text;
    const std::size_t front = out.text.find_first_not_of(' ');
    out.text.erase(0, std::min(front, out.text.size()));
    out.delays = unit_delays(commits, unit_);
    return out;
  }

  Engine& engine_;
  SessionOptions options_;
  LatencyUnit unit_;
  std::optional<Session> session_;
  Counters past_;  // of sessions that a bug ended
};

std::string joined(std::span<const std::string_view> words) {
  std::string out;
  for (std::string_view word : words) out.append(out.empty() ? "" : " ").append(word);
  return out;
}

void score(Evaluation& evaluation, const EvaluationTask& task) {
  const LanguageScoring scoring = scoring_of(task.session.target_language);
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
  LineRunner runner(engine, task.session);
  Evaluation evaluation{.k = task.session.k, .sentences = static_cast<std::int64_t>(task.sources.size())};
  Clock::duration elapsed{};
  for (std::size_t line = 0; line < task.sources.size(); ++line) {
    const std::vector<std::string_view> words = split_words(task.sources[line]);
    const Clock::time_point start = Clock::now();
    std::optional<Translation> translation = runner.translate(words, task.stop);
    elapsed += Clock::now() - start;
    if (!translation) return std::nullopt;
    if (translation->error) evaluation.failures.push_back({line, *std::move(translation->error)});
    Instance instance{.index = static_cast<std::int64_t>(line),
                      .prediction = std::move(translation->text),
                      .delays = std::move(translation->delays)};
    instance.elapsed.assign(instance.delays.size(), 0.0);
    instance.reference = task.references[line] + "\n";
    instance.source = joined(words);
    instance.source_length = static_cast<double>(words.size());
    evaluation.instances.push_back(std::move(instance));
    if (task.on_line) task.on_line(line + 1);
  }
  score(evaluation, task);
  count_cost(evaluation, runner.counters(), std::chrono::duration<double>(elapsed).count());
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
