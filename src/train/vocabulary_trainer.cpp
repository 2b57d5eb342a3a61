#include "train/vocabulary_trainer.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>

#include "tandem/error.h"
#include "train/gguf_export.h"
#include "train/parallel_text.h"

namespace tandem {
namespace {

const std::vector<std::string> kBuiltInTokens = {"<unk>", "<s>", "</s>"};

/// Appends the names in angle brackets of `text` that are not there yet.
void add_token_names(const std::string& text, std::vector<std::string>& names) {
  for (std::size_t begin = text.find('<'); begin != std::string::npos; begin = text.find('<', begin + 1)) {
    const std::size_t end = text.find_first_of("<> ,", begin + 1);
    if (end == std::string::npos || text[end] != '>') continue;
    const std::string name = text.substr(begin, end - begin + 1);
    const auto is_name = [&](const std::string& known) { return known == name; };
    if (std::any_of(kBuiltInTokens.begin(), kBuiltInTokens.end(), is_name)) continue;
    if (std::none_of(names.begin(), names.end(), is_name)) names.push_back(name);
  }
}

/// The program stands beside the one that runs.
std::string path_of_program() {
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  std::string path = (self.parent_path() / "tandem-vocabulary").string();
  if (error || !std::filesystem::exists(path)) {
    throw Error(ErrorCode::kNotFound, fmt::format("{}: expected the program that trains vocabularies", path));
  }
  return path;
}

/// A file of the run that nobody needs afterwards.
class ScratchFile {
 public:
  explicit ScratchFile(std::string path) : path_(std::move(path)) {}
  ScratchFile(const ScratchFile&) = delete;
  ScratchFile& operator=(const ScratchFile&) = delete;
  ~ScratchFile() { std::remove(path_.c_str()); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

void write_lines(const std::string& path, std::span<const std::string> lines) {
  std::ofstream file(path, std::ios::binary);
  for (const std::string& line : lines) file << line << '\n';
  file.close();
  if (!file)
    throw Error(ErrorCode::kIo, fmt::format("{}: cannot write the sentences of the vocabulary", path));
}

/// Runs a program to its end, its standard error in the file `errors`. Returns the status of waitpid.
int run_program(std::vector<std::string> arguments, const std::string& errors) {
  std::vector<char*> pointers;
  pointers.reserve(arguments.size() + 1);
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, errors.c_str(), O_WRONLY | O_CREAT | O_TRUNC,
                                   0644);
  pid_t child = 0;
  const int failure = ::posix_spawn(&child, pointers[0], &actions, nullptr, pointers.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (failure != 0) throw Error(ErrorCode::kIo, fmt::format("{}: {}", arguments[0], std::strerror(failure)));
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
    if (errno != EINTR)
      throw Error(ErrorCode::kIo, fmt::format("{}: {}", arguments[0], std::strerror(errno)));
  }
  return status;
}

std::string last_line_of(const std::string& path) {
  std::ifstream file(path);
  std::string last;
  for (std::string line; std::getline(file, line);) {
    if (!line.empty()) last = line;
  }
  return last;
}

}  // namespace

void train_vocabulary(const std::string& gguf_path, std::span<const std::string> sentences,
                      const VocabularyOptions& options) {
  const ScratchFile text(gguf_path + ".sentences"), errors(gguf_path + ".errors");
  write_lines(text.path(), sentences);
  std::vector<std::string> arguments = {path_of_program(), text.path(), gguf_path,
                                        std::to_string(options.size),
                                        fmt::format("{}", options.character_coverage)};
  arguments.insert(arguments.end(), options.control_tokens.begin(), options.control_tokens.end());
  const int status = run_program(arguments, errors.path());
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return;
  const std::string reason = last_line_of(errors.path());
  throw Error(ErrorCode::kInvalidArgument,
              reason.empty() ? fmt::format("{}: ended with status {}", arguments[0], status) : reason);
}

std::vector<std::string> control_tokens_of(const PromptTemplate& prompt) {
  std::vector<std::string> names;
  add_token_names(prompt.source_prefix, names);
  add_token_names(prompt.source_suffix, names);
  for (const auto& [language, prefix] : prompt.target_prefix) add_token_names(prefix, names);
  add_token_names(prompt.end, names);
  return names;
}

std::vector<std::string> sample_sentences(const TrainConfig& config) {
  const auto most = static_cast<std::size_t>(config.vocabulary_sentences);
  std::mt19937_64 random(config.seed);
  std::vector<std::pair<std::size_t, std::string>> kept;  // (number of the sentence, sentence)
  std::size_t n_seen = 0;
  const auto offer = [&](std::string_view text) {  // reservoir sampling
    const std::size_t number = n_seen++;
    if (kept.size() < most) {
      kept.emplace_back(number, text);
    } else if (const std::size_t place = random() % n_seen; place < most) {
      kept[place] = {number, std::string(text)};
    }
  };
  read_parallel_text(config.train, config.target_languages, [&](const TextRow& row) {
    offer(row.source);
    for (const TextRow::Target& target : row.targets) offer(target.text);
  });
  std::sort(kept.begin(), kept.end());
  std::vector<std::string> sentences;
  sentences.reserve(kept.size());
  for (auto& [number, text] : kept) sentences.push_back(std::move(text));
  return sentences;
}

RunVocabulary open_run_vocabulary(const TrainConfig& config, const std::string& gguf_path) {
  const std::vector<std::string> control_tokens = control_tokens_of(config.prompt);
  if (!std::filesystem::exists(gguf_path)) {
    const VocabularyOptions options = {config.vocabulary_size, config.character_coverage, control_tokens};
    const std::vector<std::string> sentences = sample_sentences(config);
    train_vocabulary(gguf_path, sentences, options);
  }
  TokenizerTables tables = read_exported_vocabulary(gguf_path);
  const auto fail = [&](const std::string& what) {
    throw Error(ErrorCode::kBadFile,
                fmt::format("{}: the run's vocabulary {}; start in another folder to train a new one",
                            gguf_path, what));
  };
  if (tables.pieces.size() != static_cast<std::size_t>(config.vocabulary_size)) {
    fail(fmt::format("has {} pieces, the configuration asks for {}", tables.pieces.size(),
                     config.vocabulary_size));
  }
  for (const std::string& name : control_tokens) {
    const auto place = std::find(tables.pieces.begin(), tables.pieces.end(), name);
    if (place == tables.pieces.end())
      fail(fmt::format("lacks the token \"{}\" of the prompt template", name));
  }
  auto vocabulary = Vocabulary::load(gguf_path, tables);
  return {std::move(tables), std::move(vocabulary)};
}

}  // namespace tandem
