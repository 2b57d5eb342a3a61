// `tandem trim-vocab`: a model file with only the rows of its vocabulary that some texts need.
#include "model/trim_vocab.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <boost/json.hpp>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "cli/commands.h"
#include "cli/input.h"
#include "cli/interrupt.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/progress_bar.h"
#include "text/word_counts.h"

namespace tandem {
namespace {

namespace json = boost::json;

struct TrimArguments {
  std::string model;
  std::vector<std::string> texts;
  std::size_t n_rows = 0;
  std::string output;
  bool is_json = false;
  int n_threads = 1;  // what it takes; the option is there in every command
};

/// The words of all files; a line of several columns (tab-separated) is several texts.
WordCounts count_words(const std::vector<std::string>& paths) {
  WordCounts words;
  for (const std::string& path : paths) {
    LineReader reader(path);
    for (std::size_t number = 1; auto line = reader.next(); ++number) {
      if (line->problem) {
        throw Error(ErrorCode::kBadFile, fmt::format("{}:{}: {}", path, number, *line->problem));
      }
      std::string_view rest = line->text;
      for (std::size_t tab = rest.find('\t'); tab != std::string_view::npos; tab = rest.find('\t')) {
        words.add(rest.substr(0, tab));
        rest.remove_prefix(tab + 1);
      }
      words.add(rest);
    }
    stop_if_interrupted();
  }
  return words;
}

std::string to_json(const TrimArguments& arguments, const TrimReport& report) {
  const auto as_array = [](const std::vector<std::string>& texts) {
    return json::array(texts.begin(), texts.end());
  };
  const json::object object = {{"model", arguments.model},
                               {"output", arguments.output},
                               {"rows_before", report.rows_before},
                               {"rows_after", report.rows_after},
                               {"bytes_before", report.bytes_before},
                               {"bytes_after", report.bytes_after},
                               {"merges_before", report.merges_before},
                               {"merges_after", report.merges_after},
                               {"tensors", as_array(report.tensors)},
                               {"words", report.n_words},
                               {"words_same", report.n_same},
                               {"share_of_text", report.share_of_text},
                               {"different", as_array(report.different)}};
  return json::serialize(object) + "\n";
}

std::string to_text(const TrimArguments& arguments, const TrimReport& report) {
  std::string text =
      fmt::format("{}: {} of {} rows, {:.1f} MiB instead of {:.1f}\n", arguments.output, report.rows_after,
                  report.rows_before, mebibytes(report.bytes_after), mebibytes(report.bytes_before));
  text += fmt::format("changed      {}, the tokenizer's tables\n", fmt::join(report.tensors, ", "));
  if (report.merges_before > 0) {
    text += fmt::format("merges       {} of {}\n", report.merges_after, report.merges_before);
  }
  text += fmt::format("tokens       the same for {} of {} distinct words, {:.2f}% of the text\n",
                      report.n_same, report.n_words, 100 * report.share_of_text);
  if (!report.different.empty()) {
    text += fmt::format("other tokens {}{}\n", fmt::join(report.different, " "),
                        report.n_words - report.n_same > report.different.size() ? " ..." : "");
  }
  return text;
}

ExitStatus run_trim_vocab(const TrimArguments& arguments) {
  std::error_code unknown;
  if (std::filesystem::equivalent(arguments.model, arguments.output, unknown)) {
    throw UsageError(fmt::format("--output: expected another file than the model, got {}", arguments.output));
  }
  const WordCounts words = count_words(arguments.texts);
  TrimReport report;
  {
    ProgressBar progress("trim", 1.0, "");
    report =
        trim_vocabulary(arguments.model, arguments.output, words, arguments.n_rows, show_or_stop(progress));
  }
  Output output;
  output.write(arguments.is_json ? to_json(arguments, report) : to_text(arguments, report));
  output.flush();
  return kDone;
}

}  // namespace

Command add_trim_vocab(CLI::App& program) {
  auto arguments = std::make_shared<TrimArguments>();
  CLI::App* app = program.add_subcommand("trim-vocab", "Cut a model's vocabulary to what some texts need");
  app->add_option("model", arguments->model, "The model, a GGUF file")->required()->type_name("FILE");
  app->add_option("--keep-from", arguments->texts,
                  "Texts whose words keep their tokens: lines, tabs between several texts of one")
      ->required()
      ->type_name("FILE ...");
  app->add_option("--size", arguments->n_rows,
                  "Most rows that may remain, the most frequent of the texts; 0: all that they need")
      ->check(CLI::Range(std::size_t{0}, std::size_t{1} << 24))
      ->type_name("N")
      ->capture_default_str();
  app->add_option("-o,--output", arguments->output, "The file to write")->required()->type_name("FILE");
  app->add_flag("--json", arguments->is_json, "One JSON object");
  add_threads_option(*app, arguments->n_threads);
  return {app, [arguments] { return run_trim_vocab(*arguments); }};
}

}  // namespace tandem
