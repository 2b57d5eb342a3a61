// A vocabulary cut to some of its pieces: which to keep, and how the others are spelt with them.
//
// A model trained with a small output head writes kept ids only, so a training text's other tokens are spelt
// with kept pieces. Spelling works on the bytes that pieces stand for, never on their names: it is the same
// for SentencePiece-like vocabularies (mark, <0x41>) and byte-level ones, the decoded text stays as it is,
// and the piece that opens a word still carries its mark.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "stream/types.h"
#include "text/vocabulary.h"

namespace tandem {

/// Spells pieces with kept ones. Borrows the vocabulary, which must outlive it.
class Speller {
 public:
  /// `kept` in any order. Cost O(kept). Throws Error{kInvalidArgument} for an id outside the vocabulary.
  Speller(const Vocabulary& vocabulary, std::span<const TokenId> kept);

  bool is_kept(TokenId id) const { return is_kept_[static_cast<std::size_t>(to_int(id))]; }

  /// Kept pieces whose bytes joined are those of `id`: itself if kept, else the fewest there can be, and of
  /// those the one whose first piece is longest, then its second. Nothing if there are none, and for a
  /// special token that is not kept: it stands for no text. Cost O(length^2) look-ups in the piece's bytes.
  std::optional<std::vector<TokenId>> spell(TokenId id) const;

  /// `tokens` with each one that is not kept spelt; nothing if one cannot be.
  std::optional<std::vector<TokenId>> spell(std::span<const TokenId> tokens) const;

 private:
  const Vocabulary& vocabulary_;
  std::vector<bool> is_kept_;
  std::unordered_map<std::string_view, TokenId>
      by_bytes_;             // of kept pieces with text; views into vocabulary_
  std::size_t longest_ = 0;  // bytes of the longest of them
};

/// For each id of the vocabulary what spells it: itself if it is kept, nothing (empty) if nothing does. A
/// table for loops over a corpus. Cost: one `spell` per id, a second for 262k pieces.
std::vector<std::vector<TokenId>> spell_all(const Vocabulary& vocabulary, std::span<const TokenId> kept);

/// The ids to keep for texts whose tokens were counted, ascending and each once:
///   - the `n_most_frequent` ids that occur most (of equals the lower id), special ones left out,
///   - every piece of a single byte, the bare mark and the newline, so that any text can be spelt,
///   - every piece of one character, marked or not, whose character occurs in the texts,
///   - `always`: the end, and what the template needs.
/// counts [vocabulary.size()] occurrences of each id. So the result is larger than `n_most_frequent` by some
/// hundreds (a few thousands for Chinese). Cost O(vocabulary). Throws Error{kInvalidArgument} for other
/// lengths and bad ids.
std::vector<TokenId> choose_kept_ids(std::span<const std::int64_t> counts, std::size_t n_most_frequent,
                                     const Vocabulary& vocabulary, std::span<const TokenId> always);

}  // namespace tandem
