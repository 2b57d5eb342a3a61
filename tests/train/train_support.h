// What the trainer's tests share: a folder of their own, real sentences, and a small vocabulary trained on
// them.
#pragma once

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "support/golden.h"
#include "train/gguf_export.h"
#include "train/sentencepiece_vocabulary.h"
#include "train/vocabulary_trainer.h"

namespace tandem::testing {

/// A folder that is gone with its owner.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "tandem-train-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("cannot make a temporary folder");
    path_ = name;
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }

  const std::filesystem::path& path() const { return path_; }
  std::string file(const std::string& name) const { return (path_ / name).string(); }
  std::string write(const std::string& name, std::string_view text) const {
    std::ofstream(file(name), std::ios::binary) << text;
    return file(name);
  }

 private:
  std::filesystem::path path_;
};

/// The sentences (without the empty ones) of the golden quality sets: English, German, French and Chinese
/// captions, talks, news and chat.
inline std::vector<std::string> golden_sentences() {
  std::vector<std::string> sentences;
  for (const auto& path : golden_files("quality", ".txt")) {
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) {
      if (!line.empty()) sentences.push_back(line);
    }
  }
  return sentences;
}

inline PromptTemplate small_prompt() {
  return {"<s>", "</s>", {{"de", "<de>"}, {"fr", "<fr>"}}, "</s>"};
}

/// 1,500 pieces learnt from golden_sentences(), as its own sentencepiece model, as tables and as libllama
/// reads it.
struct SmallVocabulary {
  TemporaryFolder folder;
  std::string serialised =
      train_sentencepiece(golden_sentences(), {1500, 0.98, control_tokens_of(small_prompt())});
  TokenizerTables tables = tables_of_sentencepiece(serialised);
  std::shared_ptr<const Vocabulary> vocabulary = load();

 private:
  std::shared_ptr<const Vocabulary> load() const {
    export_vocabulary(folder.file("vocabulary.gguf"), tables);
    return Vocabulary::load(folder.file("vocabulary.gguf"), tables);
  }
};

inline const SmallVocabulary& small_vocabulary() {
  static const SmallVocabulary vocabulary;
  return vocabulary;
}

}  // namespace tandem::testing
