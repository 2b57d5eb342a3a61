// `tandem bench sessions`: what one engine does for n sessions at a time; a table for people, JSON for
// scripts. The load itself is eval/session_load.h; here are the command line, the text, and the rounds.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <boost/json.hpp>
#include <chrono>
#include <memory>

#include "cli/bench_text.h"
#include "cli/commands.h"
#include "cli/input.h"
#include "cli/interrupt.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/progress_bar.h"
#include "eval/session_load.h"
#include "eval/spread.h"
#include "text/utf8.h"

namespace tandem {
namespace {

struct SessionsArguments {
  ModelArguments model;
  std::string n = "1,4,16";
  std::string to;
  std::string k = "3";
  std::string source;
  std::optional<int> no_repeat_ngram;
  Fork fork = Fork::kByCost;
  int n_sentences = 4;
  double seconds = 0;
  double pace = 0;  // words per second; 0: no pace
  int n_rounds = 3;
  bool is_json = false;
};

/// A sentence per line; empty lines are none.
std::vector<LoadSentence> read_text(const std::string& path) {
  std::vector<LoadSentence> text;
  std::size_t line_number = 0;
  const std::string name = path.empty() ? "built-in text" : path == "-" ? "standard input" : path;
  const auto add = [&](std::string_view line) {
    ++line_number;
    const auto words = split_words(line);
    if (!words.empty())
      text.push_back({fmt::format("{}:{}", name, line_number), {words.begin(), words.end()}});
  };
  if (path.empty())
    for (std::string_view line : bench_text()) add(line);
  else
    for (const std::string& line : read_all_lines(path)) add(line);
  if (!text.empty()) return text;
  throw Error(ErrorCode::kInvalidArgument,
              fmt::format("{}: expected at least one line with a word, got none", name));
}

LoadClock steady_clock() {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point start = Clock::now();
  return {.now = [start] { return std::chrono::duration<double>(Clock::now() - start).count(); },
          .wait_until =
              [start](double time) {
                sleep_until(start +
                            std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(time)));
              }};
}

/// One figure of every round.
template <typename FigureOf>
std::optional<Spread> over(const std::vector<LoadResult>& rounds, FigureOf figure_of) {
  std::vector<double> figures;
  for (const LoadResult& round : rounds) {
    if (const std::optional<double> figure = figure_of(round)) figures.push_back(*figure);
  }
  return spread_of(std::move(figures));
}

std::optional<double> ratio(std::int64_t numerator, double denominator) {
  if (denominator <= 0) return std::nullopt;
  return static_cast<double>(numerator) / denominator;
}

/// What n sessions came to, over the rounds.
struct SessionsFigures {
  int n_sessions = 0;
  std::size_t n_rounds = 0;
  std::int64_t n_sentences = 0;  // of all rounds
  std::int64_t n_words = 0;
  double seconds = 0;
  std::optional<Spread> words_per_second, tokens_per_second, p50_commit_ms, p99_commit_ms, p50_lag_ms,
      p99_lag_ms;
  std::optional<Spread> passes_per_token, rows_per_pass;
  std::int64_t bytes_per_session = 0;
  std::vector<PassCost> pass_costs;  // what forks were decided by; empty with --fork always or never
  int wide_rows = 0;
};

SessionsFigures figures_of(int n_sessions, const std::vector<LoadResult>& rounds) {
  SessionsFigures figures{.n_sessions = n_sessions, .n_rounds = rounds.size()};
  for (const LoadResult& round : rounds) {
    figures.n_sentences += round.n_sentences;
    figures.n_words += round.n_words;
    figures.seconds += round.seconds;
    figures.bytes_per_session = std::max(figures.bytes_per_session, round.bytes_per_session);
  }
  const auto percentile_ms = [&](std::vector<double> LoadResult::*times, double percent) {
    return over(rounds, [&](const LoadResult& round) -> std::optional<double> {
      const auto seconds = percentile(round.*times, percent);
      return seconds ? std::optional(1000 * *seconds) : std::nullopt;
    });
  };
  figures.words_per_second = over(rounds, [](const auto& r) { return ratio(r.n_words, r.seconds); });
  figures.tokens_per_second = over(rounds, [](const auto& r) { return ratio(r.n_tokens, r.seconds); });
  figures.p50_commit_ms = percentile_ms(&LoadResult::commit_seconds, 50);
  figures.p99_commit_ms = percentile_ms(&LoadResult::commit_seconds, 99);
  figures.p50_lag_ms = percentile_ms(&LoadResult::lag_seconds, 50);
  figures.p99_lag_ms = percentile_ms(&LoadResult::lag_seconds, 99);
  figures.passes_per_token =
      over(rounds, [](const auto& r) { return ratio(r.n_passes, static_cast<double>(r.n_tokens)); });
  figures.rows_per_pass =
      over(rounds, [](const auto& r) { return ratio(r.n_rows, static_cast<double>(r.n_passes)); });
  return figures;
}

/// "name": the median, with "name_min" and "name_max" beside it; nulls if nothing was measured.
void add_spread(boost::json::object& object, const std::string& name, const std::optional<Spread>& spread) {
  const auto value = [&](double Spread::*part) {
    return spread ? boost::json::value(*spread.*part) : boost::json::value(nullptr);
  };
  object[name] = value(&Spread::median);
  object[name + "_min"] = value(&Spread::least);
  object[name + "_max"] = value(&Spread::most);
}

/// The keys are a contract.
boost::json::object to_json(const SessionsArguments& arguments, const std::string& to,
                            const SessionsFigures& figures) {
  boost::json::object object;
  object["model"] = arguments.model.model;
  if (!arguments.model.adapter.empty()) object["adapter"] = arguments.model.adapter;
  object["to"] = to;
  if (arguments.k == "inf")
    object["k"] = "inf";
  else
    object["k"] = parse_k(arguments.k);
  object["pace"] = arguments.pace;
  object["sessions"] = figures.n_sessions;
  object["rounds"] = figures.n_rounds;
  object["sentences"] = figures.n_sentences;
  object["words"] = figures.n_words;
  object["seconds"] = figures.seconds;
  add_spread(object, "words_per_second", figures.words_per_second);
  add_spread(object, "tokens_per_second", figures.tokens_per_second);
  add_spread(object, "p50_commit_ms", figures.p50_commit_ms);
  add_spread(object, "p99_commit_ms", figures.p99_commit_ms);
  if (arguments.pace > 0) {
    add_spread(object, "p50_lag_ms", figures.p50_lag_ms);
    add_spread(object, "p99_lag_ms", figures.p99_lag_ms);
  }
  add_spread(object, "passes_per_token", figures.passes_per_token);
  add_spread(object, "rows_per_pass", figures.rows_per_pass);
  object["bytes_per_session"] = figures.bytes_per_session;
  boost::json::array costs;
  for (const PassCost& cost : figures.pass_costs) costs.push_back({{"rows", cost.rows}, {"ms", cost.ms}});
  object["pass_costs"] = std::move(costs);
  object["wide_rows"] = figures.wide_rows;
  return object;
}

std::string table_head(bool is_paced) {
  return fmt::format("{:>8} {:>8} {:>19} {:>8} {:>8}{} {:>12} {:>9} {:>12}\n", "sessions", "words/s",
                     "least - most", "p50 ms", "p99 ms", is_paced ? "  p99 lag" : "", "passes/token",
                     "rows/pass", "KiB/session");
}

std::string table_row(const SessionsFigures& figures, bool is_paced) {
  const auto median = [](const std::optional<Spread>& spread, int n_digits) {
    return spread ? fmt::format("{:.{}f}", spread->median, n_digits) : std::string("-");
  };
  const Spread speed = figures.words_per_second.value_or(Spread{});
  return fmt::format("{:>8} {:>8.1f} {:>19} {:>8} {:>8}{} {:>12} {:>9} {:>12.1f}\n", figures.n_sessions,
                     speed.median, fmt::format("{:.1f} - {:.1f}", speed.least, speed.most),
                     median(figures.p50_commit_ms, 1), median(figures.p99_commit_ms, 1),
                     is_paced ? fmt::format(" {:>8}", median(figures.p99_lag_ms, 1)) : "",
                     median(figures.passes_per_token, 3), median(figures.rows_per_pass, 1),
                     static_cast<double>(figures.bytes_per_session) / 1024);
}

class SessionsRun {
 public:
  explicit SessionsRun(const SessionsArguments& arguments)
      : arguments_(arguments), counts_(parse_counts("--n", arguments.n)) {
    load_.session.k = parse_k(arguments.k);
    load_.session.adapter = arguments.model.adapter;
    load_.session.prompt = arguments.model.stock_prompt();
    load_.session.no_repeat_ngram = arguments.no_repeat_ngram;
    load_.session.fork = arguments.fork;
    load_.n_sentences = arguments.n_sentences;
    load_.seconds = arguments.seconds;
    load_.pace = arguments.pace;
    load_.clock = steady_clock();
  }

  ExitStatus run() {
    text_ = read_text(arguments_.source);
    load_.text = text_;
    for (std::size_t i = 0; i < counts_.size(); ++i) {
      const auto rounds = run_rounds(counts_[i]);
      if (!rounds) {
        fmt::print(stderr, "tandem: bench sessions: interrupted, {} of {} values of n are done\n", i,
                   counts_.size());
        return kFailed;
      }
      SessionsFigures figures = figures_of(counts_[i], *rounds);
      figures.pass_costs = pass_costs_;
      figures.wide_rows = wide_rows_;
      show(figures, i == 0);
    }
    return kDone;
  }

 private:
  /// With an engine of its own, which has room for so many sessions and no more. Nothing after an interrupt.
  std::optional<std::vector<LoadResult>> run_rounds(int n_sessions) {
    const StopOnInterrupt interrupt;
    Engine engine = arguments_.model.load(n_sessions);
    load_.session.target_languages = {target_language(engine)};
    load_.n_sessions = n_sessions;
    load_.stop = interrupt.token();
    load_.on_progress = {};
    if (!warm_up(engine)) return std::nullopt;
    std::vector<LoadResult> rounds;
    ProgressBar progress(fmt::format("{} sessions", n_sessions), arguments_.n_rounds, "");
    load_.on_progress = [&](double fraction) {
      progress.show(static_cast<double>(rounds.size()) + std::min(fraction, 1.0));
    };
    for (int i = 0; i < arguments_.n_rounds; ++i) {
      auto result = run_load(engine, load_);
      if (!result) return std::nullopt;
      rounds.push_back(*std::move(result));
    }
    pass_costs_.assign(engine.pass_costs().begin(), engine.pass_costs().end());
    wide_rows_ = engine.wide_rows();
    return rounds;
  }

  /// The first passes find the weights on disk and graphs to be laid out: the shortest sentence, unmeasured.
  /// False after an interrupt.
  bool warm_up(Engine& engine) const {
    const auto is_shorter = [](const LoadSentence& a, const LoadSentence& b) {
      return a.words.size() < b.words.size();
    };
    SessionLoad load = load_;
    load.text = std::span(&*std::min_element(text_.begin(), text_.end(), is_shorter), 1);
    load.n_sentences = 1;
    load.seconds = 0;
    load.pace = 0;
    return run_load(engine, load).has_value();
  }

  std::string target_language(const Engine& engine) const {
    if (!arguments_.to.empty()) return arguments_.to;
    const auto languages = engine.target_languages(arguments_.model.adapter);
    if (!languages.empty()) return languages.front();
    throw UsageError(
        fmt::format("--to: expected a target language, as {} names none", arguments_.model.model));
  }

  void show(const SessionsFigures& figures, bool is_first) {
    const bool is_paced = arguments_.pace > 0;
    if (arguments_.is_json) {
      output_.write(
          boost::json::serialize(to_json(arguments_, load_.session.target_languages.front(), figures)) +
          "\n");
    } else {
      if (is_first) output_.write(table_head(is_paced));
      output_.write(table_row(figures, is_paced));
    }
    output_.flush();
  }

  const SessionsArguments& arguments_;
  std::vector<PassCost> pass_costs_;  // of the engine that ran last
  int wide_rows_ = 0;                 // its
  std::vector<int> counts_;
  SessionLoad load_;
  std::vector<LoadSentence> text_;
  Output output_;
};

constexpr const char* kDefinitions =
    "All n sessions are live until each has its sentences done; medians over the rounds.\n"
    "commit ms: from when the session could begin to work on a target word (the source words that it had\n"
    "read for it have arrived, the target word before it is committed) until its commit was polled.\n"
    "With --pace that is the delay a reader sees beyond waiting for the speaker, as long as the engine\n"
    "keeps pace; lag ms, from the arrival of the source words alone, shows whether it does.\n"
    "words/s: target words that all sessions committed per second. passes/token: passes over the weights,\n"
    "one that serves many sessions counting once, per target token and end.";

}  // namespace

Command add_bench_sessions(CLI::App& bench) {
  auto arguments = std::make_shared<SessionsArguments>();
  CLI::App* app = bench.add_subcommand("sessions", "Live sessions served together: speed, delay, memory");
  app->footer(kDefinitions);
  arguments->model.add_to(*app);
  app->add_option("--n", arguments->n, "Numbers of sessions, commas between")
      ->type_name("N,...")
      ->capture_default_str();
  app->add_option("--to", arguments->to, "Target language; default: the model's first")
      ->type_name("LANGUAGE");
  app->add_option("--k", arguments->k, "Words to read before the first is written; inf: the whole sentence")
      ->type_name("N|inf")
      ->capture_default_str();
  add_repetition_option(*app, arguments->no_repeat_ngram);
  add_fork_option(*app, arguments->fork);
  app->add_option("--source", arguments->source,
                  "Source text, a sentence a line; -: standard input. Default: a built-in English one")
      ->type_name("FILE");
  CLI::Option* sentences =
      app->add_option("--sentences", arguments->n_sentences, "Sentences of each session, in each round")
          ->check(CLI::Range(1, 1000000))
          ->type_name("N")
          ->capture_default_str();
  app->add_option("--seconds", arguments->seconds, "A round's length instead of a number of sentences")
      ->check(CLI::Range(0.001, 1e6))
      ->excludes(sentences)
      ->type_name("SECONDS");
  app->add_option("--pace", arguments->pace,
                  "Words of every session arrive so many a second, sessions evenly shifted; 0: the next\n"
                  "word is always there")
      ->check(CLI::Range(0.0, 1e6))
      ->type_name("WORDS")
      ->capture_default_str();
  app->add_option("--rounds", arguments->n_rounds, "Rounds, after a short one that is not measured")
      ->check(CLI::Range(1, 1000))
      ->type_name("N")
      ->capture_default_str();
  app->add_flag("--json", arguments->is_json, "One JSON object per n instead of a table");
  return {app, [arguments] { return SessionsRun(*arguments).run(); }};
}

}  // namespace tandem
