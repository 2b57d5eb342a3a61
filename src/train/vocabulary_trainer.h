// The vocabulary of a run: learnt once from the run's own text, and kept beside its checkpoint.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "text/prompt.h"
#include "text/vocabulary.h"
#include "train/sentencepiece_vocabulary.h"
#include "train/train_config.h"

namespace tandem {

/// Names in angle brackets that the template uses beside <s>, </s> and <unk>, each once, in order of
/// appearance.
std::vector<std::string> control_tokens_of(const PromptTemplate& prompt);

/// Trains a vocabulary in a process of its own (the program tandem-vocabulary, beside this one) and leaves it
/// at `gguf_path`. The same sentences in the same order give the same file. Throws Error{kInvalidArgument}
/// with sentencepiece's reason, e.g. too little text for so many pieces.
void train_vocabulary(const std::string& gguf_path, std::span<const std::string> sentences,
                      const VocabularyOptions& options);

/// Source and target texts of the training data, at most config.vocabulary_sentences of them, every one with
/// equal chance, in the order of the files; drawn by config.seed.
std::vector<std::string> sample_sentences(const TrainConfig& config);

struct RunVocabulary {
  TokenizerTables tables;
  std::shared_ptr<const Vocabulary> vocabulary;
};

/// The vocabulary of a run: the file at `gguf_path` if there is one (a resumed run goes on with what it began
/// with), else a new one, which is left there. Throws Error{kBadFile} if the file's vocabulary is not what
/// `config` asks for.
RunVocabulary open_run_vocabulary(const TrainConfig& config, const std::string& gguf_path);

}  // namespace tandem
