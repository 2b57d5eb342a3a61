// The commands of the program, one file each. A command adds its options to the application and gives back
// what to run when it was chosen; its exit status is kDone or kFailed. What it throws, main.cpp reports.
#pragma once

#include <functional>

namespace CLI {  // NOLINT(readability-identifier-naming): CLI11 chose it
class App;
}

namespace tandem {

enum ExitStatus : int { kDone = 0, kFailed = 1, kUsage = 2 };

struct Command {
  CLI::App* app = nullptr;
  std::function<ExitStatus()> run;
};

Command add_translate(CLI::App& program);
Command add_evaluate(CLI::App& program);
Command add_train(CLI::App& program);
Command add_inspect(CLI::App& program);
Command add_merge(CLI::App& program);
Command add_average(CLI::App& program);
Command add_quantize(CLI::App& program);
Command add_verify(CLI::App& program);
Command add_trim_vocab(CLI::App& program);
Command add_bench(CLI::App& program);

// What `tandem bench` can measure, each a command of its own.
Command add_bench_sessions(CLI::App& bench);

}  // namespace tandem
