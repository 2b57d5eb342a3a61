// `tandem evaluate`: a model against a test set at several k in one run; a table for people, JSON for
// scripts, and a folder per k in SimulEval's form.
#include "eval/evaluate.h"

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <boost/json.hpp>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>

#include "cli/commands.h"
#include "cli/input.h"
#include "cli/interrupt.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/progress_bar.h"

namespace tandem {
namespace {

struct EvaluateArguments {
  ModelArguments model;
  std::string to;
  std::string source;
  std::string reference;
  std::string policy = "wait-k";
  std::string ks = "1,3,5,7,inf";
  std::string output;
  std::optional<int> no_repeat_ngram;
  Fork fork = Fork::kWhenReady;  // so that passes per token say the same on every machine
  int n_sessions = 1;
  std::size_t limit = 0;
  bool is_json = false;
};

struct TestSet {
  std::vector<std::string> sources;
  std::vector<std::string> references;
};

TestSet read_test_set(const EvaluateArguments& arguments) {
  TestSet set{read_all_lines(arguments.source), read_all_lines(arguments.reference)};
  if (set.sources.size() != set.references.size()) {
    throw Error(
        ErrorCode::kInvalidArgument,
        fmt::format("expected as many lines of source as of reference, got {} in {} and {} in {}",
                    set.sources.size(), arguments.source, set.references.size(), arguments.reference));
  }
  if (set.sources.empty()) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("{}: expected at least one line, got none", arguments.source));
  }
  if (arguments.limit > 0 && arguments.limit < set.sources.size()) {
    set.sources.resize(arguments.limit);
    set.references.resize(arguments.limit);
  }
  return set;
}

/// A folder that cannot be written shows before the work, not after it.
void prepare_folder(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) {
    throw Error(ErrorCode::kIo, fmt::format("{}: the folder cannot be made: {}", path, error.message()));
  }
  if (::access(path.c_str(), W_OK | X_OK) != 0) {
    throw Error(ErrorCode::kIo,
                fmt::format("{}: the folder cannot be written: {}", path, std::strerror(errno)));
  }
}

/// What --json and results.csv say of one k; the keys are a contract.
boost::json::object summary_of(const EvaluateArguments& arguments, const Evaluation& evaluation) {
  const auto latency = [&](double Latency::*measure) {
    return evaluation.latency ? boost::json::value(*evaluation.latency.*measure)
                              : boost::json::value(nullptr);
  };
  boost::json::object summary;
  summary["model"] = arguments.model.model;
  if (!arguments.model.adapter.empty()) summary["adapter"] = arguments.model.adapter;
  summary["to"] = arguments.to;
  summary["policy"] = arguments.policy;
  if (evaluation.k == kUnlimited)
    summary["k"] = "inf";
  else
    summary["k"] = evaluation.k;
  summary["sentences"] = evaluation.sentences;
  summary["bleu"] = evaluation.bleu;
  summary["al"] = latency(&Latency::al);
  summary["laal"] = latency(&Latency::laal);
  summary["length_ratio"] = evaluation.length_ratio;
  summary["passes_per_token"] = evaluation.passes_per_token;
  summary["rows_twice"] = evaluation.rows_twice;
  summary["words_per_second"] = evaluation.words_per_second;
  return summary;
}

std::string csv_cell(const boost::json::value& value) {
  if (value.is_null()) return "";
  if (value.is_double()) return fmt::format("{:.4f}", value.as_double());
  if (!value.is_string()) return boost::json::serialize(value);
  std::string text(value.as_string().begin(), value.as_string().end());
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  for (std::size_t at = 0; (at = text.find('"', at)) != std::string::npos; at += 2) text.insert(at, 1, '"');
  return '"' + text + '"';
}

void write_csv(const std::filesystem::path& path, const std::vector<boost::json::object>& summaries) {
  Output out(path.string());
  const auto write_row = [&](const boost::json::object& row, auto cell_of) {
    std::string line;
    for (const auto& entry : row) line.append(line.empty() ? "" : ",").append(cell_of(entry));
    out.write(line + "\n");
  };
  write_row(summaries.front(), [](const auto& entry) { return std::string(entry.key()); });
  for (const auto& summary : summaries) {
    write_row(summary, [](const auto& entry) { return csv_cell(entry.value()); });
  }
  out.close();
}

std::string table_head() {
  return fmt::format("{:>4} {:>9} {:>7} {:>7} {:>7} {:>8} {:>13} {:>8}\n", "k", "sentences", "BLEU", "AL",
                     "LAAL", "length", "passes/token", "words/s");
}

std::string table_row(const Evaluation& evaluation) {
  const auto delay = [&](double Latency::*measure) {
    return evaluation.latency ? fmt::format("{:.2f}", *evaluation.latency.*measure) : std::string("-");
  };
  return fmt::format("{:>4} {:>9} {:>7.2f} {:>7} {:>7} {:>8.3f} {:>13.2f} {:>8.1f}\n", k_name(evaluation.k),
                     evaluation.sentences, evaluation.bleu, delay(&Latency::al), delay(&Latency::laal),
                     evaluation.length_ratio, evaluation.passes_per_token, evaluation.words_per_second);
}

class EvaluateRun {
 public:
  explicit EvaluateRun(const EvaluateArguments& arguments)
      : arguments_(arguments), ks_(parse_ks(arguments.ks)) {
    session_.target_languages = {arguments.to};
    session_.adapter = arguments.model.adapter;
    session_.fork = arguments.fork;
    session_.prompt = arguments.model.stock_prompt();
    session_.no_repeat_ngram = arguments.no_repeat_ngram;
  }

  ExitStatus run() {
    set_ = read_test_set(arguments_);
    if (!arguments_.output.empty()) prepare_folder(arguments_.output);
    engine_.emplace(arguments_.model.load(arguments_.n_sessions));
    for (int k : ks_) {
      if (!run_one(k)) {
        fmt::print(stderr, "tandem: evaluate: interrupted, {} of {} values of k are done\n",
                   summaries_.size(), ks_.size());
        return kFailed;
      }
    }
    return has_failures_ ? kFailed : kDone;
  }

 private:
  /// False after an interrupt.
  bool run_one(int k) {
    session_.k = k;
    const auto evaluation = evaluate_lines();
    if (!evaluation) return false;
    summaries_.push_back(summary_of(arguments_, *evaluation));
    if (!arguments_.output.empty()) {
      const std::filesystem::path folder(arguments_.output);
      write_evaluation(folder / ("k" + k_name(k)), *evaluation);
      write_csv(folder / "results.csv", summaries_);
    }
    if (arguments_.is_json) {
      output_.write(boost::json::serialize(summaries_.back()) + "\n");
    } else {
      if (summaries_.size() == 1) output_.write(table_head());
      output_.write(table_row(*evaluation));
    }
    output_.flush();
    for (const LineFailure& failure : evaluation->failures) {
      has_failures_ = true;
      fmt::print(stderr, "tandem: {}:{}: k={}: {}\n", arguments_.source, failure.line + 1, k_name(k),
                 failure.reason);
    }
    return true;
  }

  std::optional<Evaluation> evaluate_lines() {
    const StopOnInterrupt interrupt;
    ProgressBar progress(fmt::format("{} k={}", arguments_.to, k_name(session_.k)),
                         static_cast<double>(set_.sources.size()), "lines");
    EvaluationTask task{.sources = set_.sources,
                        .references = set_.references,
                        .session = session_,
                        .n_sessions = arguments_.n_sessions};
    task.stop = interrupt.token();
    task.on_line = [&](std::size_t n_done) { progress.show(static_cast<double>(n_done)); };
    return evaluate(*engine_, task);
  }

  const EvaluateArguments& arguments_;
  std::vector<int> ks_;
  SessionOptions session_;
  TestSet set_;
  std::optional<Engine> engine_;
  Output output_;
  std::vector<boost::json::object> summaries_;
  bool has_failures_ = false;
};

}  // namespace

Command add_evaluate(CLI::App& program) {
  auto arguments = std::make_shared<EvaluateArguments>();
  CLI::App* app = program.add_subcommand("evaluate", "Score a model on a test set: quality, delay, cost");
  app->footer(
      "Passes per token: with the whole source pushed first, per text token and end. DIR gets results.csv "
      "and,\n"
      "for each k, instances.log, scores.tsv and config.yaml as SimulEval writes them.");
  arguments->model.add_to(*app);
  app->add_option("--to", arguments->to, "Target language")->required()->type_name("LANGUAGE");
  app->add_option("--source", arguments->source, "Source text, a sentence a line")
      ->required()
      ->type_name("FILE");
  app->add_option("--reference", arguments->reference, "Its translation, line by line")
      ->required()
      ->type_name("FILE");
  add_policy_option(*app, arguments->policy);
  app->add_option("--k", arguments->ks, "Values of k, commas between")
      ->type_name("N|inf,...")
      ->capture_default_str();
  add_repetition_option(*app, arguments->no_repeat_ngram);
  add_fork_option(*app, arguments->fork);
  app->add_option("--sessions", arguments->n_sessions,
                  "Lines under way at a time, sharing passes: sooner done; quantised weights then round a\n"
                  "little otherwise, so that a few lines may differ")
      ->check(CLI::Range(1, 256))
      ->type_name("N")
      ->capture_default_str();
  app->add_option("--output", arguments->output, "Folder for the results")->type_name("DIR");
  app->add_option("--limit", arguments->limit, "Only the first N lines; 0: all")
      ->type_name("N")
      ->capture_default_str();
  app->add_flag("--json", arguments->is_json, "One JSON object per k instead of a table");
  return {app, [arguments] { return EvaluateRun(*arguments).run(); }};
}

}  // namespace tandem
