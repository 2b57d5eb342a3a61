// `tandem train`: a training run as its configuration says.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/options.h"
#include "train/trainer.h"

namespace tandem {
namespace {

struct TrainArguments {
  std::string config;
  bool is_resumed = false;
  int n_threads = 0;
};

ExitStatus run_train(const TrainArguments& arguments) {
  const TrainConfig config = read_train_config(arguments.config);
  const StopOnInterrupt interrupt;
  {
    ProgressPrinter printer(stderr, ::isatty(STDERR_FILENO) == 1);
    TrainOptions options;
    options.resume = arguments.is_resumed;
    options.threads = arguments.n_threads;
    options.stop = interrupt.token();
    options.on_report = [&](const TrainReport& report) { printer.show(report); };
    run_training(config, options);
  }
  if (!is_interrupted()) return kDone;
  fmt::print(stderr, "tandem: train: interrupted, the checkpoint is in {}; --resume goes on from there\n",
             config.checkpoint_dir);
  return kFailed;
}

}  // namespace

Command add_train(CLI::App& program) {
  auto arguments = std::make_shared<TrainArguments>();
  CLI::App* app = program.add_subcommand("train", "Train a model on parallel text");
  app->footer(
      "Ctrl-C writes a checkpoint and ends with status 1; with as many threads, --resume gives the same run "
      "as without the stop.");
  app->add_option("--config", arguments->config, "The run, a TOML file")->required()->type_name("FILE");
  app->add_flag("--resume", arguments->is_resumed, "Go on from the newest checkpoint, if there is one");
  add_threads_option(*app, arguments->n_threads);
  return {app, [arguments] { return run_train(*arguments); }};
}

}  // namespace tandem
