// `tandem bench`: what can be measured with the program itself, a command each. What it is measured against
// (other engines) is in bench/.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>

#include "cli/commands.h"
#include "tandem/error.h"

namespace tandem {

Command add_bench(CLI::App& program) {
  CLI::App* app = program.add_subcommand("bench", "Measure speed");
  app->require_subcommand(1);
  const std::array benches = {add_bench_sessions(*app)};
  return {app, [benches] {
            const auto chosen = std::find_if(benches.begin(), benches.end(),
                                             [](const Command& bench) { return bench.app->parsed(); });
            TANDEM_CHECK(chosen != benches.end());
            return chosen->run();
          }};
}

}  // namespace tandem
