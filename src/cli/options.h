// Options that several commands share, and the reading of their values. A bad value is a UsageError, which
// ends the program with status 2 before any work is done.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tandem/engine.h"

namespace CLI {  // NOLINT(readability-identifier-naming): CLI11 chose it
class App;
}

namespace tandem {

/// The command line itself is wrong.
class UsageError : public Error {
 public:
  explicit UsageError(const std::string& message) : Error(ErrorCode::kInvalidArgument, message) {}
};

/// "3" -> 3, "inf" -> kUnlimited. Throws UsageError for anything else, 0 among it.
int parse_k(std::string_view text);
/// "1,3,inf". Throws UsageError for a bad one, for one that stands twice, and for none.
std::vector<int> parse_ks(std::string_view text);
/// "1,4,16": numbers of something, each from 1 on. Throws UsageError naming `option`, as parse_ks.
std::vector<int> parse_counts(std::string_view option, std::string_view text);
/// "3" or "inf".
std::string k_name(int k);
/// "de" or "de,fr". Throws UsageError for an empty one, or one that stands twice.
std::vector<std::string> parse_languages(std::string_view text);

/// Which model, and how it runs.
struct ModelArguments {
  std::string model;
  std::string adapter;  // empty: none
  std::string device;   // empty: a GPU, else the CPU
  int n_threads = 0;
  int slots = EngineOptions{}.session_slots;
  std::string cache = "f16";  // or f32, q8_0, q4_0
  Wide wide = Wide::kByCost;
  PromptText prompt;

  void add_to(CLI::App& command);
  Engine load(int n_sessions) const;
  /// What the prompt options say; nothing if none was given. Throws UsageError for a part of a prompt.
  std::optional<PromptText> stock_prompt() const;
};

/// `--adapter`, alike in every command that runs a model.
void add_adapter_option(CLI::App& command, std::string& adapter);
/// `--threads`, alike in every command.
void add_threads_option(CLI::App& command, int& n_threads);
/// `--no-repeat-ngram`; nothing if it is not given.
void add_repetition_option(CLI::App& command, std::optional<int>& no_repeat_ngram);
/// `--fork`; what it holds before is the default.
void add_fork_option(CLI::App& command, Fork& fork);
/// `--policy`: wait-k is the one there is.
void add_policy_option(CLI::App& command, std::string& policy);

}  // namespace tandem
