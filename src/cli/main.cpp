// The program: which command, and what its end means for whoever called it.
//
//   0  done        1  failed, or stopped by Ctrl-C before it was done        2  the command line is wrong
//
// Every error is one line on standard error. A reader that closes our output early (`| head`) has what it
// wanted: that is no failure.
#include <fmt/format.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <new>

#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/options.h"
#include "cli/output.h"

namespace tandem {
namespace {

/// The first line of a message: an error is one line, whoever wrote it.
std::string first_line(std::string_view message) {
  return std::string(message.substr(0, message.find('\n')));
}

ExitStatus fail(ExitStatus status, std::string_view command, std::string_view message) {
  const std::string place = command.empty() ? "tandem" : fmt::format("tandem: {}", command);
  fmt::print(stderr, "{}: {}\n", place, first_line(message));
  return status;
}

ExitStatus fail_usage(std::string_view command, std::string_view message) {
  const std::string help = command.empty() ? "tandem --help" : fmt::format("tandem {} --help", command);
  return fail(kUsage, command, fmt::format("{} (see {})", first_line(message), help));
}

void print(const std::string& text) {
  Output output;
  output.write(text);
  output.flush();
}

/// As it was called: "translate", "bench sessions".
std::string name_of(const CLI::App& command) {
  std::string name = command.get_name();
  for (const CLI::App* part : command.get_subcommands()) name += " " + name_of(*part);
  return name;
}

ExitStatus run(const Command& command) {
  const std::string name = name_of(*command.app);
  try {
    return command.run();
  } catch (const UsageError& error) {
    return fail_usage(name, error.what());
  } catch (const std::bad_alloc&) {
    return fail(kFailed, name, "out of memory");
  } catch (const std::exception& error) {
    return fail(kFailed, name, error.what());
  }
}

ExitStatus run_program(int argc, char** argv) {
  CLI::App program("Tandem: a language model that translates while it reads.", "tandem");
  program.set_version_flag("--version", "tandem " TANDEM_VERSION);
  program.require_subcommand(1);
  program.fallthrough();
  program.get_formatter()->column_width(34);
  std::string log_level = "error";
  program.add_option("--log-level", log_level, "What to log on standard error")
      ->check(CLI::IsMember({"trace", "debug", "info", "warn", "error", "off"}))
      ->capture_default_str();

  const std::array commands = {add_translate(program), add_evaluate(program), add_train(program),
                               add_inspect(program),   add_merge(program),    add_average(program),
                               add_quantize(program),  add_verify(program),   add_trim_vocab(program),
                               add_bench(program)};
  const auto chosen = [&] {
    return std::find_if(commands.begin(), commands.end(), [](const Command& c) { return c.app->parsed(); });
  };
  try {
    program.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    print(program.help());  // of the command that was named, if one was
    return kDone;
  } catch (const CLI::CallForVersion& version) {
    print(std::string(version.what()) + "\n");
    return kDone;
  } catch (const CLI::ParseError& error) {
    const auto command = chosen();
    return fail_usage(command == commands.end() ? "" : name_of(*command->app), error.what());
  }
  spdlog::set_default_logger(spdlog::stderr_logger_mt("tandem"));
  spdlog::set_pattern("tandem: %l: %v");
  spdlog::set_level(spdlog::level::from_str(log_level));
  return run(*chosen());
}

}  // namespace
}  // namespace tandem

int main(int argc, char** argv) {
  tandem::catch_interrupts();
  try {
    return tandem::run_program(argc, argv);
  } catch (const tandem::OutputClosed&) {
    return tandem::kDone;
  } catch (const std::exception& error) {
    return tandem::fail(tandem::kFailed, "", error.what());
  }
}
