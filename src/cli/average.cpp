// `tandem average`: several adapters of one training as one, their mean.
#include "model/average.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "cli/commands.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/progress_bar.h"

namespace tandem {
namespace {

struct AverageArguments {
  AverageTask task;
  int n_threads = 1;  // what it takes; the option is there in every command
};

ExitStatus run_average(const AverageArguments& arguments) {
  RewriteResult result;
  {
    ProgressBar progress("average", 1.0, "");
    AverageTask task = arguments.task;
    task.progress = show_or_stop(progress);
    result = average_adapters(task);
  }
  Output output;
  output.write(fmt::format("{}: the mean of {} adapters, {} matrices, {:.1f} MiB\n", arguments.task.output,
                           arguments.task.adapters.size(), result.n_matrices, mebibytes(result.bytes_after)));
  output.flush();
  return kDone;
}

}  // namespace

Command add_average(CLI::App& program) {
  auto arguments = std::make_shared<AverageArguments>();
  CLI::App* app =
      program.add_subcommand("average", "The mean of several adapters that one training ended in");
  AverageTask& task = arguments->task;
  app->add_option("adapters", task.adapters, "LoRA adapters of one shape, GGUF files")
      ->required()
      ->type_name("ADAPTER ...");
  app->add_option("-o,--output", task.output, "The file to write, with the first one's keys")
      ->required()
      ->type_name("FILE");
  app->add_option("--weights", task.weights, "How much each counts, commas between. Default: all the same")
      ->delimiter(',')
      ->type_name("W,...");
  app->add_option("--type", task.type,
                  "f32, f16, bf16, q8_0, ... of all matrices. Default: what they are in the first")
      ->type_name("TYPE");
  add_threads_option(*app, arguments->n_threads);
  return {app, [arguments] { return run_average(*arguments); }};
}

}  // namespace tandem
