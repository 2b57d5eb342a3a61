// Vocabularies for tests: the committed fixtures, and llama.cpp's own, with .inp/.out pairs made by the
// tokenizers' authors, from .deps/vocabularies (scripts/install-llama) or from $TANDEM_VOCAB_DIR.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "text/vocabulary.h"

namespace tandem::testing {

/// SentencePiece-like, with byte fallback.
std::filesystem::path fixture_path();
/// Byte-level, with a list of merges.
std::filesystem::path byte_level_fixture_path();

/// The tokenizer.* keys of a GGUF file, read with ggml's own reader.
TokenizerTables read_tables(const std::filesystem::path& path);

/// A copy of the vocabulary file `from` with other tables.
void write_vocabulary(const std::filesystem::path& from, const TokenizerTables& tables,
                      const std::filesystem::path& to);

/// The vocabulary file `from` with more special tokens at its end.
std::shared_ptr<const Vocabulary> load_with_special(const std::filesystem::path& from,
                                                    const std::vector<std::string>& names);

/// Loaded once per path: the large ones take a second.
std::shared_ptr<const Vocabulary> load_vocabulary(const std::filesystem::path& path);

/// The fixtures first, then llama.cpp's whose tokenizer we support.
std::vector<std::filesystem::path> vocabulary_paths();

/// The lines of sentences.txt.
std::vector<std::string> sentences();

}  // namespace tandem::testing
