// Runs the real program as a user would: a command line through the shell, files in a folder that goes away.
#pragma once

#include <string>
#include <vector>

#include "model/tiny_llama.h"

namespace tandem::testing {

struct Outcome {
  int status = -1;  // exit status; 128 + n after signal n
  std::string out;
  std::string err;
};

/// `tandem ARGUMENTS` with `input` as standard input. Arguments are the shell's: quotes, redirections, pipes.
Outcome run_tandem(const std::string& arguments, const std::string& input = "");

/// A command line of the shell, where $TANDEM is the program.
Outcome run_shell(const std::string& command, const std::string& input = "");

std::vector<std::string> lines_of(const std::string& text);

/// Random weights with sound `tandem.*` keys (en -> de, fr), made once per test program. Its path needs no
/// quotes.
const std::string& tiny_model();

}  // namespace tandem::testing
