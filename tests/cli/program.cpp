#include "cli/program.h"

#include <sys/wait.h>

#include <cstdlib>
#include <sstream>

namespace tandem::testing {

Outcome run_shell(const std::string& command, const std::string& input) {
  const TemporaryFolder folder;
  write_bytes(folder.file("in"), input);
  write_bytes(folder.file("command"), command);
  const std::string line = "TANDEM='" TANDEM_PROGRAM "' sh " + folder.file("command") + " <" +
                           folder.file("in") + " >" + folder.file("out") + " 2>" + folder.file("err");
  const int status = std::system(line.c_str());
  return {.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status),
          .out = read_bytes(folder.file("out")),
          .err = read_bytes(folder.file("err"))};
}

Outcome run_tandem(const std::string& arguments, const std::string& input) {
  return run_shell("\"$TANDEM\" " + arguments, input);
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

const std::string& tiny_model() {
  static const TemporaryFolder folder;
  static const std::string path = [] {
    std::string file = folder.file("tiny.gguf");
    write_tiny_llama(file, {}, add_stream_metadata);
    return file;
  }();
  return path;
}

}  // namespace tandem::testing
