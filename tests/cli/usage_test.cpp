// Exit statuses and one-line errors: what scripts rely on.
#include <gmock/gmock.h>

#include "cli/program.h"

namespace tandem::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

void expect_one_line_error(const Outcome& outcome, int status, const std::string& part) {
  EXPECT_EQ(outcome.status, status) << outcome.err;
  EXPECT_EQ(outcome.out, "");
  EXPECT_THAT(outcome.err, AllOf(StartsWith("tandem: "), HasSubstr(part)));
  EXPECT_EQ(lines_of(outcome.err).size(), 1u) << outcome.err;
}

std::string translate(const std::string& arguments) {
  return "translate --model " + tiny_model() + " " + arguments;
}

TEST(Usage, HelpAndVersionAreNoErrors) {
  for (const char* command : {"", "translate ", "evaluate ", "train ", "inspect ", "quantize ", "verify "}) {
    const Outcome help = run_tandem(std::string(command) + "--help");
    EXPECT_EQ(help.status, 0) << command;
    EXPECT_EQ(help.err, "") << command;
    EXPECT_THAT(help.out, HasSubstr(*command == '\0' ? "translate" : "--threads")) << command;
  }
  EXPECT_THAT(run_tandem("--version").out, StartsWith("tandem 0."));
}

TEST(Usage, HelpShowsDefaults) {
  EXPECT_THAT(run_tandem("translate --help").out,
              AllOf(HasSubstr("=3"), HasSubstr("=wait-k"), HasSubstr("=1024")));
  EXPECT_THAT(run_tandem("evaluate --help").out, HasSubstr("1,3,5,7,inf"));
}

TEST(Usage, WrongCommandLinesExitWithTwo) {
  expect_one_line_error(run_tandem(""), 2, "subcommand");
  expect_one_line_error(run_tandem("frobnicate"), 2, "");
  expect_one_line_error(run_tandem("translate --to de"), 2, "--model");
  expect_one_line_error(run_tandem("translate --model m.gguf"), 2, "--to");
  expect_one_line_error(run_tandem("translate --model m.gguf --to de --policy guess"), 2, "wait-k");
  expect_one_line_error(run_tandem("translate --model m.gguf --to de --threads -1"), 2, "--threads");
  expect_one_line_error(run_tandem("translate --model m.gguf --to de --pace -1"), 2, "--pace");
  expect_one_line_error(run_tandem("translate --model m.gguf --to de,,fr"), 2, "--to");
  expect_one_line_error(run_tandem("translate --model m.gguf --to de,de"), 2, "'de,de'");
  expect_one_line_error(run_tandem("train"), 2, "--config");
  expect_one_line_error(run_tandem("verify"), 2, "model");
  expect_one_line_error(run_tandem("verify m.gguf --tokens 1"), 2, "--tokens");
  expect_one_line_error(run_tandem("verify m.gguf --tokens many"), 2, "--tokens");
}

TEST(Usage, BadKIsNamed) {
  for (const char* k : {"0", "-1", "abc", "3x", "1.5", "99999999999", "infinity"}) {
    expect_one_line_error(run_tandem(translate(std::string("--to de --k=") + k)), 2,
                          "expected a whole number");
  }
  const std::string evaluate = "evaluate --model m --to de --source s --reference r --k ";
  expect_one_line_error(run_tandem(evaluate + "1,0"), 2, "got '0'");
  expect_one_line_error(run_tandem(evaluate + "1,"), 2, "got ''");
  expect_one_line_error(run_tandem(evaluate + "3,3"), 2, "got '3,3'");
}

TEST(Usage, FilesAndLanguagesThatAreNotThereExitWithOne) {
  expect_one_line_error(run_tandem("translate --model /nowhere.gguf --to de"), 1, "/nowhere.gguf");
  expect_one_line_error(run_tandem(translate("--to de --input /nowhere.txt")), 1, "/nowhere.txt");
  expect_one_line_error(run_tandem(translate("--to xx")), 1, "xx");
  expect_one_line_error(run_tandem(translate("--to de --input /")), 1, "directory");
  expect_one_line_error(run_tandem("inspect /dev/null"), 1, "/dev/null");
  expect_one_line_error(run_tandem("verify /nowhere.gguf"), 1, "/nowhere.gguf");
  expect_one_line_error(run_tandem("train --config /nowhere.toml"), 1, "");
  expect_one_line_error(run_tandem("quantize " + tiny_model() + " /tmp/never-written.gguf --type q99"), 1,
                        "q99");
}

TEST(Usage, TruncatedModelsAreRefused) {
  const TemporaryFolder folder;
  const std::string bytes = read_bytes(tiny_model());
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{3}, std::size_t{23}, bytes.size() / 3, bytes.size() - 1}) {
    write_bytes(folder.file("cut.gguf"), bytes.substr(0, size));
    expect_one_line_error(run_tandem("translate --to de --model " + folder.file("cut.gguf")), 1, "cut.gguf");
    expect_one_line_error(run_tandem("inspect " + folder.file("cut.gguf")), 1, "cut.gguf");
  }
}

}  // namespace
}  // namespace tandem::testing
