// Cutting a vocabulary down to what some languages need, in such a way that their texts keep their tokens.
//
// A byte-pair tokenizer builds a piece by merges, and each step on the way is a piece of its own. Where a
// piece stays together with all steps towards it, the cut tokenizer finds the same merges as before: it
// chooses the best of fewer, and the one chosen before is still among them. So a word keeps its tokens if
// they and their steps are kept, and every other text can still be spelt, since single bytes always stay.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "stream/types.h"
#include "text/vocabulary.h"

namespace tandem {

/// The merges of a tokenizer: by score (SentencePiece-like) or by a list of pairs (byte-level and Gemma 4).
class MergeSteps {
 public:
  /// Borrows the tables, which must outlive it and have passed check_tokenizer_tables.
  explicit MergeSteps(const TokenizerTables& tables);
  ~MergeSteps();

  /// Ids of all pieces that come up while the text of piece `id` is merged as far as it goes, `id` among
  /// them; each once, in no particular order. Cost O(length^2) look-ups.
  std::vector<TokenId> toward(TokenId id) const;

 private:
  struct Impl;
  std::unique_ptr<const Impl> impl_;
};

struct CutOptions {
  /// Most pieces that may remain; 0: as many as the texts use.
  std::size_t n_most = 0;
  /// Kept in any case, with their steps: what prompt templates need.
  std::vector<TokenId> always = {};
};

/// The ids to keep, ascending: special tokens except the spare ones that tokenizers reserve ("<unused7>"),
/// those the `*_token_id` keys name, `always`, all that choose_kept_ids keeps for spelling, and then the
/// pieces that the texts use, the most frequent first, each with its steps. counts [vocabulary.size()]
/// occurrences of each id in the texts. Throws Error{kInvalidArgument} if `n_most` is too small for what must
/// stay, saying how many that is.
std::vector<TokenId> choose_cut(const TokenizerTables& tables, const Vocabulary& vocabulary,
                                std::span<const std::int64_t> counts, const CutOptions& options);

/// The tables with only the `kept` ids (ascending), renumbered in order: pieces, scores, types, special ids,
/// and those merges whose three pieces are all kept. Special ids that libllama assumes where a file has no
/// key are written out if their pieces stay: they have other numbers now. Throws Error{kInvalidArgument} if a
/// list of merges has none left, or if a special id is not kept.
TokenizerTables cut_tables(const TokenizerTables& tables, std::span<const TokenId> kept);

}  // namespace tandem
