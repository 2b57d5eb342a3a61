// `tandem quantize`: a model file with its matrices in a smaller type.
#include "model/quantize.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "cli/commands.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/progress_bar.h"

namespace tandem {
namespace {

struct QuantizeArguments {
  std::string input;
  std::string output;
  std::string type = "q8_0";
  int n_threads = 1;  // what it takes; the option is there in every command
};

ExitStatus run_quantize(const QuantizeArguments& arguments) {
  RewriteResult result;
  {
    ProgressBar progress(arguments.type, 1.0, "");
    result = quantize_file(arguments.input, arguments.output, arguments.type, show_or_stop(progress));
  }
  Output output;
  output.write(fmt::format("{}: {} matrices as {}, {:.1f} MiB instead of {:.1f}\n", arguments.output,
                           result.n_matrices, arguments.type, mebibytes(result.bytes_after),
                           mebibytes(result.bytes_before)));
  output.flush();
  return kDone;
}

}  // namespace

Command add_quantize(CLI::App& program) {
  auto arguments = std::make_shared<QuantizeArguments>();
  CLI::App* app =
      program.add_subcommand("quantize", "Rewrite a model file with its matrices in another type");
  app->add_option("input", arguments->input, "The model, a GGUF file")->required()->type_name("IN");
  app->add_option("output", arguments->output, "The file to write")->required()->type_name("OUT");
  app->add_option("--type", arguments->type, "f32, f16, bf16, q8_0, q4_k, ...")
      ->type_name("TYPE")
      ->capture_default_str();
  add_threads_option(*app, arguments->n_threads);
  return {app, [arguments] { return run_quantize(*arguments); }};
}

}  // namespace tandem
