// `tandem translate`: lines in, lines out. On a pipe one output line per input line, whatever happens to it;
// on a terminal the same live, word by word.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <optional>

#include "cli/commands.h"
#include "cli/event_log.h"
#include "cli/input.h"
#include "cli/interrupt.h"
#include "cli/line_translator.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/terminal_view.h"
#include "cli/text_layout.h"
#include "eval/evaluate.h"
#include "eval/latency.h"

namespace tandem {
namespace {

struct TranslateArguments {
  ModelArguments model;
  std::string to;
  std::string policy = "wait-k";
  std::string k = "3";
  std::string input = "-";
  std::string output = "-";
  std::string events;
  std::optional<int> no_repeat_ngram;
  Fork fork = Fork::kByCost;
  double pace = 0;  // words per minute; 0: no pace
  bool is_plain = false;
  std::string flush = "line";  // or "word"
};

/// A word or line of the output must not bring line ends of its own, nor NULs.
std::string one_line(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = ' ';
  }
  return text;
}

/// "AL 2.7 words, 1.31 passes per token, 14 ms per word": what a target of a sentence cost; passes and time
/// are those of all its targets, for all their tokens and words.
std::string figures_of(const LineOutcome& outcome, std::size_t target, std::string_view language,
                       std::size_t n_source_words) {
  const LineResult& result = outcome.targets[target];
  if (result.error) return fmt::format("failed: {}", one_line(*result.error));
  const std::vector<double> delays = unit_delays(result.commits, scoring_of(language).unit);
  if (delays.empty()) return "nothing written";
  const auto latency = latency_of({.delays = delays, .source_length = static_cast<double>(n_source_words)});
  const double passes = static_cast<double>(outcome.cost.passes) /
                        static_cast<double>(std::max<std::int64_t>(1, outcome.cost.target_tokens));
  std::size_t n_commits = 0;
  for (const LineResult& each : outcome.targets) n_commits += each.commits.size();
  return fmt::format("AL {:.1f} words, {:.2f} passes per token, {:.0f} ms per word",
                     latency ? latency->al : 0.0, passes,
                     1000 * outcome.seconds / static_cast<double>(n_commits));
}

class TranslateRun {
 public:
  explicit TranslateRun(const TranslateArguments& arguments)
      : arguments_(arguments),
        languages_(parse_languages(arguments.to)),
        engine_(arguments.model.load(1)),
        translator_(engine_, session_options(arguments), word_interval(arguments.pace)),
        reader_(arguments.input),
        output_(arguments.output) {
    if (!arguments.events.empty()) events_ = std::make_unique<Output>(arguments.events);
    if (!arguments.is_plain && can_show_live(output_.fd())) {
      view_ = std::make_unique<TerminalView>(output_, "source", languages_);
    }
  }

  ExitStatus run() {
    while (auto line = reader_.next()) {
      ++line_number_;
      if (line->problem) {
        reject(*line->problem);
      } else if (!translate(line->text)) {
        break;
      }
    }
    view_.reset();
    output_.close();
    if (events_) events_->close();
    if (is_interrupted()) {
      fmt::print(stderr, "tandem: translate: interrupted, whole lines written: {}\n", n_whole_lines_);
      return kFailed;
    }
    return n_failed_ > 0 ? kFailed : kDone;
  }

 private:
  static SessionOptions session_options(const TranslateArguments& arguments) {
    SessionOptions options;
    options.target_languages = parse_languages(arguments.to);
    options.k = parse_k(arguments.k);
    options.adapter = arguments.model.adapter;
    options.prompt = arguments.model.stock_prompt();
    options.no_repeat_ngram = arguments.no_repeat_ngram;
    options.fork = arguments.fork;
    return options;
  }

  static LineTranslator::Clock::duration word_interval(double words_per_minute) {
    if (words_per_minute == 0) return {};
    return std::chrono::duration_cast<LineTranslator::Clock::duration>(
        std::chrono::duration<double>(60.0 / words_per_minute));
  }

  bool flushes_words() const { return arguments_.flush == "word"; }

  void report(std::string_view problem) {
    ++n_failed_;
    fmt::print(stderr, "tandem: {}:{}: {}\n", arguments_.input == "-" ? "standard input" : arguments_.input,
               line_number_, problem);
  }

  /// A line that cannot be read: its output line is empty.
  void reject(std::string_view problem) {
    report(problem);
    if (!view_) put_line(std::vector<std::string>(languages_.size()));
  }

  /// False after an interrupt.
  bool translate(const std::string& line) {
    std::size_t n_words = 0;
    LineObserver observer;
    observer.on_word = [&](std::string_view word) {
      if (view_ && n_words == 0) view_->begin();
      if (view_) view_->add_source_word(word);
      ++n_words;
    };
    observer.on_event = [&](std::size_t target, const Event& event) { show(target, event); };
    observer.on_wait = [&] {
      if (view_) view_->draw(true);
    };
    const auto outcome = translator_.translate(line, observer);
    if (!outcome) return false;
    ++n_whole_lines_;
    finish_line(*outcome, n_words);
    return true;
  }

  void show(std::size_t target, const Event& event) {
    if (events_) {
      const std::chrono::duration<double, std::milli> ms = LineTranslator::Clock::now() - start_;
      events_->write(
          to_json(event, {.ms = ms.count(), .line = line_number_, .language = languages_[target]}) + "\n");
      if (event.kind != EventKind::kWrite) events_->flush();
    }
    if (view_) {
      view_->show(target, event);
      view_->draw();
    } else if (flushes_words() && event.kind == EventKind::kCommit) {
      const std::string word = one_line(event.text);
      const bool drops_space = !has_word_ && !word.empty() && word.front() == ' ';
      output_.write(std::string_view(word).substr(drops_space ? 1 : 0));
      output_.flush();
      has_word_ = true;
    }
  }

  void finish_line(const LineOutcome& outcome, std::size_t n_words) {
    if (view_) {
      std::vector<std::string> figures;
      for (std::size_t i = 0; i < languages_.size(); ++i) {
        figures.push_back(figures_of(outcome, i, languages_[i], n_words));
      }
      view_->end(figures);
    } else {
      std::vector<std::string> texts;
      texts.reserve(languages_.size());
      for (const LineResult& result : outcome.targets) texts.push_back(one_line(result.text));
      put_line(texts);
    }
    for (std::size_t i = 0; i < languages_.size(); ++i) {
      const auto& error = outcome.targets[i].error;
      if (error) report(fmt::format("{}: {}", languages_[i], one_line(*error)));
    }
  }

  /// Several targets stand in one line, tabs between.
  void put_line(const std::vector<std::string>& texts) {
    if (!flushes_words()) {
      for (std::size_t i = 0; i < texts.size(); ++i) {
        if (i > 0) output_.write("\t");
        output_.write(texts[i]);
      }
    }
    has_word_ = false;
    output_.write("\n");
    output_.flush();
  }

  const TranslateArguments& arguments_;
  std::vector<std::string> languages_;
  Engine engine_;
  LineTranslator translator_;
  LineReader reader_;
  Output output_;
  std::unique_ptr<Output> events_;
  std::unique_ptr<TerminalView> view_;
  LineTranslator::Clock::time_point start_ = LineTranslator::Clock::now();
  std::size_t line_number_ = 0;
  std::size_t n_whole_lines_ = 0;
  std::size_t n_failed_ = 0;
  bool has_word_ = false;  // of the line under way, if words are flushed
};

ExitStatus run_translate(const TranslateArguments& arguments) {
  if (arguments.flush == "word" && parse_languages(arguments.to).size() > 1) {
    throw UsageError("--flush word: expected one target language, got several");
  }
  return TranslateRun(arguments).run();
}

}  // namespace

Command add_translate(CLI::App& program) {
  auto arguments = std::make_shared<TranslateArguments>();
  CLI::App* app = program.add_subcommand("translate", "Translate lines of text while they are being read");
  app->footer(
      "A line is a sentence; its words are read one by one. A line that cannot be translated gives an\n"
      "empty output line and a message, and exit status 1 at the end. Ctrl-C ends cleanly, with status 1.");
  arguments->model.add_to(*app);
  app->add_option("--to", arguments->to,
                  "Target language, or several: de,fr (on a pipe: columns, tabs between)")
      ->required()
      ->type_name("LANGUAGE");
  add_policy_option(*app, arguments->policy);
  app->add_option("--k", arguments->k, "Words to read before the first is written; inf: the whole sentence")
      ->type_name("N|inf")
      ->capture_default_str();
  add_repetition_option(*app, arguments->no_repeat_ngram);
  add_fork_option(*app, arguments->fork);
  app->add_option("--input", arguments->input, "Source text; -: standard input")
      ->type_name("FILE")
      ->capture_default_str();
  app->add_option("--output", arguments->output, "Where to write; -: standard output")
      ->type_name("FILE")
      ->capture_default_str();
  app->add_option("--events", arguments->events, "Write every READ, WRITE and commit there as a line of JSON")
      ->type_name("FILE");
  app->add_option("--pace", arguments->pace,
                  "Words arrive as from a speaker of so many words a minute; 0: at once")
      ->check(CLI::Range(0.0, 100000.0))
      ->type_name("WORDS")
      ->capture_default_str();
  app->add_option(
         "--flush", arguments->flush,
         "On a pipe, hand on whole lines, or each word as it is committed (a line that fails late is\n"
         "then cut short instead of empty)")
      ->check(CLI::IsMember({"line", "word"}))
      ->capture_default_str();
  app->add_flag("--plain", arguments->is_plain, "Plain lines on a terminal too");
  return {app, [arguments] { return run_translate(*arguments); }};
}

}  // namespace tandem
