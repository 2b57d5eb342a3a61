// The model's own tokenizer, and what can be known about each of its pieces.
//
// Tokenising is libllama's vocabulary API (every pre-tokenizer, kept up to date); what streaming needs per
// token id (does it begin a word, how many code points, is it a byte, may it be written) is decided once at
// load.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "stream/types.h"

namespace tandem {

/// The `tokenizer.*` keys of a GGUF file as plain values, before anybody has trusted them.
struct TokenizerTables {
  std::string model;                                           // tokenizer.ggml.model: "llama", "gpt2", ...
  std::string pre;                                             // tokenizer.ggml.pre, empty if absent
  std::vector<std::string> pieces;                             // tokenizer.ggml.tokens
  std::vector<float> scores;                                   // may be empty
  std::vector<int> types;                                      // llama_token_type; may be empty
  std::vector<std::string> merges;                             // byte-level BPE only
  std::vector<std::pair<std::string, long long>> special_ids;  // every tokenizer.ggml.*_token_id, by key
  bool add_space_prefix = true;  // tokenizer.ggml.add_space_prefix, or the tokenizer model's default
};

/// Checks everything that libllama would assert on or throw from: lengths, duplicates, types, special ids,
/// merges. Throws Error{kBadFile} with the key, what was expected and what was found; `file` is named in the
/// message.
void check_tokenizer_tables(const TokenizerTables& tables, std::string_view file);

/// What a piece is, decided once at load.
struct PieceInfo {
  bool begins_word = false;  // carries the vocabulary's mark of a space in front
  bool only_mark = false;    // is that mark and nothing else: belongs to the piece after it
  bool is_byte = false;      // part of a code point: one or more bytes that are not whole UTF-8 by themselves
  bool is_byte_name = false;  // <0x41>: spells a byte that no other piece of the text has
  bool is_end = false;        // any end-of-generation id
  bool is_masked = false;     // control, unknown or unused: never written, never summed
  int n_code_points = 0;      // whole code points in it, marks included
  int n_joining_bytes =
      0;  // of a byte piece: continuation bytes at its front, which end a code point begun before
  int n_missing_bytes = 0;  // of a byte piece: bytes still missing from the code point that it ends in
};

/// What the bytes alone say of a piece; is_byte_name, is_end and is_masked are the vocabulary's to set.
PieceInfo describe_bytes(std::string_view bytes);

class Vocabulary {
 public:
  /// Reads the vocabulary of a GGUF file through libllama (vocabulary only, no weights), after checking
  /// `tables`, which must be the same file's. Throws Error{kBadFile}.
  static std::shared_ptr<const Vocabulary> load(const std::string& gguf_path, const TokenizerTables& tables);
  ~Vocabulary();

  int size() const { return static_cast<int>(pieces_.size()); }
  std::span<const PieceInfo> pieces() const { return pieces_; }
  const PieceInfo& piece(TokenId id) const { return pieces_[static_cast<std::size_t>(to_int(id))]; }
  /// The bytes that the piece stands for, its mark written as a space.
  std::string_view bytes(TokenId id) const { return bytes_[static_cast<std::size_t>(to_int(id))]; }

  /// The piece as the file writes it: "<s>", with marks and byte names.
  std::string_view name(TokenId id) const;
  /// The special token of that name, as templates write it. Cost: a tokenisation of the name.
  std::optional<TokenId> find_special(std::string_view name) const;
  /// Names of all special tokens (control, unknown, and those that the file's author added). Cost
  /// O(vocabulary).
  std::vector<std::string> special_names() const;

  std::span<const std::string> byte_table() const { return bytes_; }

  /// One source word's tokens, such that the words of a text tokenised one by one give the tokens of the
  /// whole text joined by single spaces (for vocabularies whose pieces do not straddle a space; see
  /// docs/decisions.md). `is_first`: the word opens the text.
  std::vector<TokenId> tokenize_word(std::string_view word, bool is_first) const;
  /// Plain text: special tokens in it are spelt out, never recognised. No BOS or EOS is added.
  std::vector<TokenId> tokenize(std::string_view text) const;
  /// A template: names of special tokens such as "<s>" are recognised, all else is plain text (prompt.h
  /// checks).
  std::vector<TokenId> tokenize_template(std::string_view text) const;

 private:
  struct Impl;
  explicit Vocabulary(std::unique_ptr<Impl> impl);
  std::vector<TokenId> spell_out_special(const std::vector<TokenId>& tokens) const;

  std::unique_ptr<Impl> impl_;
  std::vector<PieceInfo> pieces_;
  std::vector<std::string> bytes_;
};

}  // namespace tandem
