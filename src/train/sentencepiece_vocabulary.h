// A new vocabulary: sentencepiece trains it, GGUF carries it, libllama reads it.
//
// libllama's SentencePiece tokeniser is the BPE kind and normalises nothing, so the vocabulary is trained
// likewise: BPE with byte fallback, identity normalisation, no white space removed, a space put in front of a
// text.
//
// These functions must not share a process with libtorch: libsentencepiece exports a protobuf of its own
// version, and libtorch brings in the system's, so that whichever the loader finds first breaks the other.
// The program tandem-vocabulary is that other process (vocabulary_trainer.h calls it).
#pragma once

#include <span>
#include <string>
#include <vector>

#include "text/vocabulary.h"

namespace tandem {

struct VocabularyOptions {
  int size = 8000;  // pieces in all: special ones, 256 bytes, and what is learnt
  double character_coverage = 1.0;
  std::vector<std::string> control_tokens;  // beside <unk> <s> </s>, e.g. "<de>"
};

/// A serialised sentencepiece model. The same sentences in the same order give the same model.
/// Throws Error{kInvalidArgument} with sentencepiece's reason, e.g. too little text for so many pieces.
std::string train_sentencepiece(std::span<const std::string> sentences, const VocabularyOptions& options);

/// What the GGUF file says of it: pieces, scores, llama.cpp's token types, special ids.
TokenizerTables tables_of_sentencepiece(const std::string& serialised_model);

}  // namespace tandem
