// `tandem merge`: a model and its adapter as one model file, for tools that take no adapters, and for speed.
#include "model/merge.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "cli/commands.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/progress_bar.h"

namespace tandem {
namespace {

struct MergeArguments {
  MergeTask task;
  int n_threads = 1;  // what it takes; the option is there in every command
};

ExitStatus run_merge(const MergeArguments& arguments) {
  RewriteResult result;
  {
    ProgressBar progress("merge", 1.0, "");
    MergeTask task = arguments.task;
    task.progress = show_or_stop(progress);
    result = merge_adapter(task);
  }
  Output output;
  output.write(fmt::format("{}: {} matrices written anew{}, {:.1f} MiB instead of {:.1f}\n",
                           arguments.task.output, result.n_matrices,
                           arguments.task.type.empty() ? "" : " as " + arguments.task.type,
                           mebibytes(result.bytes_after), mebibytes(result.bytes_before)));
  output.flush();
  return kDone;
}

}  // namespace

Command add_merge(CLI::App& program) {
  auto arguments = std::make_shared<MergeArguments>();
  CLI::App* app = program.add_subcommand("merge", "Fold an adapter into its model");
  MergeTask& task = arguments->task;
  app->add_option("base", task.base, "The model, a GGUF file")->required()->type_name("BASE");
  app->add_option("adapter", task.adapter, "Its LoRA adapter, a GGUF file")->required()->type_name("ADAPTER");
  app->add_option("output", task.output, "The file to write")->required()->type_name("OUT");
  app->add_option("--type", task.type,
                  "f32, f16, bf16, q8_0, q4_k, ... of all matrices; else each keeps its own")
      ->type_name("TYPE");
  add_threads_option(*app, arguments->n_threads);
  return {app, [arguments] { return run_merge(*arguments); }};
}

}  // namespace tandem
