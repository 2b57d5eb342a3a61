// `tandem verify`: is what Tandem computes with this file what libllama computes with it? For any model file
// that a user has, streaming or stock.
#include "model/verify.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <boost/json.hpp>
#include <cmath>
#include <memory>
#include <thread>

#include "cli/commands.h"
#include "cli/options.h"
#include "cli/output.h"

namespace tandem {
namespace {

namespace json = boost::json;

struct VerifyArguments {
  std::string model;
  std::string adapter;
  int n_tokens = VerifyOptions{}.n_tokens;
  int n_threads = 0;
  bool is_json = false;
};

/// JSON has no NaN, which broken weights give.
json::value number(double value) {
  return std::isfinite(value) ? json::value(value) : json::value(nullptr);
}

std::string to_json(const VerifyArguments& arguments, const VerifyReport& report) {
  const json::object object = {
      {"model", arguments.model},
      {"adapter", arguments.adapter.empty() ? json::value() : arguments.adapter.c_str()},
      {"architecture", report.architecture},
      {"type", report.type},
      {"rows", report.n_rows},
      {"ids", report.n_ids},
      {"max_abs", number(report.max_abs)},
      {"mean_abs", number(report.mean_abs)},
      {"deviation", number(report.deviation)},
      {"greedy_equal", report.greedy_equal},
      {"tokenizer_round_trip", report.tokenizer_round_trip},
      {"mean_tolerance", report.mean_tolerance},
      {"least_greedy_equal", report.least_greedy_equal},
      {"ok", report.is_within_tolerance()}};
  return json::serialize(object) + "\n";
}

std::string to_text(const VerifyArguments& arguments, const VerifyReport& report) {
  return fmt::format(
      "{}{}: {}, {}, {} rows of {} logits beside libllama\n"
      "logits       differ by {:.3g} on average (allowed {:.3g}), {:.3g} at most; they deviate by {:.3g}\n"
      "best token   the same in {:.1f}% of the rows (at least {:.0f}%)\n"
      "tokenizer    {}\n",
      arguments.model, arguments.adapter.empty() ? "" : " with " + arguments.adapter, report.architecture,
      report.type, report.n_rows, report.n_ids, report.mean_abs, report.mean_tolerance, report.max_abs,
      report.deviation, 100 * report.greedy_equal, 100 * report.least_greedy_equal,
      report.tokenizer_round_trip ? "gives the text back, word by word too"
                                  : "does not give the text back, or not word by word");
}

ExitStatus run_verify(const VerifyArguments& arguments) {
  const int n_cores = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  const VerifyReport report =
      verify_model(arguments.model, {.n_tokens = arguments.n_tokens,
                                     .n_threads = arguments.n_threads == 0 ? n_cores : arguments.n_threads,
                                     .adapter = arguments.adapter});
  Output output;
  output.write(arguments.is_json ? to_json(arguments, report) : to_text(arguments, report));
  output.flush();
  return report.is_within_tolerance() ? kDone : kFailed;
}

}  // namespace

Command add_verify(CLI::App& program) {
  auto arguments = std::make_shared<VerifyArguments>();
  CLI::App* app = program.add_subcommand("verify", "Compare a model file's logits with libllama's");
  app->add_option("model", arguments->model, "The model, a GGUF file")->required()->type_name("FILE");
  add_adapter_option(*app, arguments->adapter);
  app->add_option("--tokens", arguments->n_tokens, "Tokens of text, and of greedy continuation")
      ->check(CLI::Range(2, 4096))
      ->type_name("N")
      ->capture_default_str();
  app->add_flag("--json", arguments->is_json, "One JSON object");
  add_threads_option(*app, arguments->n_threads);
  return {app, [arguments] { return run_verify(*arguments); }};
}

}  // namespace tandem
