#include "text/spelling.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <unordered_set>

#include "tandem/error.h"
#include "text/utf8.h"

namespace tandem {
namespace {

std::size_t index_of(TokenId id) {
  return static_cast<std::size_t>(to_int(id));
}

void check_id(TokenId id, const Vocabulary& vocabulary) {
  if (to_int(id) >= 0 && to_int(id) < vocabulary.size()) return;
  throw Error(ErrorCode::kInvalidArgument,
              fmt::format("kept ids: expected ids from 0 to {}, got {}", vocabulary.size() - 1, to_int(id)));
}

/// Whether the piece is text that a model may write.
bool is_text(const PieceInfo& piece) {
  return !piece.is_masked && !piece.is_end;
}

/// Calls `take` with every whole code point of `bytes`.
template <typename Take>
void for_each_code_point(std::string_view bytes, Take&& take) {
  while (!bytes.empty()) {
    const Utf8Step step = next_utf8(bytes);
    if (step.status == Utf8Status::kWhole) take(step.code_point);
    bytes.remove_prefix(step.n_bytes);
  }
}

/// The piece's one character, its mark left out; nothing for any other piece.
std::optional<char32_t> single_character(const PieceInfo& piece, std::string_view bytes) {
  const int n_marks = piece.begins_word ? 1 : 0;
  if (piece.is_byte || piece.n_code_points - n_marks != 1) return std::nullopt;
  const Utf8Step step = next_utf8(bytes.substr(static_cast<std::size_t>(n_marks)));
  return step.code_point;
}

std::vector<std::size_t> most_frequent(std::span<const std::int64_t> counts, std::size_t n,
                                       const Vocabulary& vocabulary) {
  std::vector<std::size_t> ids;
  for (std::size_t id = 0; id < counts.size(); ++id) {
    if (counts[id] > 0 && is_text(vocabulary.pieces()[id])) ids.push_back(id);
  }
  n = std::min(n, ids.size());
  const auto middle = ids.begin() + static_cast<std::ptrdiff_t>(n);
  std::partial_sort(ids.begin(), middle, ids.end(), [&](std::size_t a, std::size_t b) {
    return counts[a] != counts[b] ? counts[a] > counts[b] : a < b;
  });
  ids.resize(n);
  return ids;
}

std::unordered_set<char32_t> characters_of(std::span<const std::int64_t> counts,
                                           const Vocabulary& vocabulary) {
  std::unordered_set<char32_t> characters;
  for (std::size_t id = 0; id < counts.size(); ++id) {
    if (counts[id] <= 0) continue;
    for_each_code_point(vocabulary.byte_table()[id], [&](char32_t c) { characters.insert(c); });
  }
  return characters;
}

}  // namespace

Speller::Speller(const Vocabulary& vocabulary, std::span<const TokenId> kept)
    : vocabulary_(vocabulary), is_kept_(static_cast<std::size_t>(vocabulary.size())) {
  for (const TokenId id : kept) {
    check_id(id, vocabulary);
    is_kept_[index_of(id)] = true;
    if (!is_text(vocabulary.piece(id))) continue;
    const std::string_view bytes = vocabulary.bytes(id);
    longest_ = std::max(longest_, bytes.size());
    const auto [known, is_new] = by_bytes_.emplace(bytes, id);
    // A character's own piece rather than its byte's name: that is how the model met it.
    if (!is_new && vocabulary.piece(known->second).is_byte_name) known->second = id;
  }
}

std::optional<std::vector<TokenId>> Speller::spell(TokenId id) const {
  check_id(id, vocabulary_);
  if (is_kept(id)) return std::vector<TokenId>{id};
  if (!is_text(vocabulary_.piece(id))) return std::nullopt;

  // From the back: how few pieces spell the bytes from `at` on, and which of them comes first.
  const std::string_view bytes = vocabulary_.bytes(id);
  constexpr std::size_t kNone = std::numeric_limits<std::size_t>::max();
  std::vector<std::size_t> fewest(bytes.size() + 1, kNone);
  std::vector<TokenId> first(bytes.size());
  fewest.back() = 0;
  for (std::size_t at = bytes.size(); at-- > 0;) {
    for (std::size_t length = 1; length <= std::min(longest_, bytes.size() - at); ++length) {
      const std::size_t rest = fewest[at + length];
      if (rest == kNone || rest >= fewest[at]) continue;  // fewest[at] >= 1 + rest: the longer wins a tie
      const auto piece = by_bytes_.find(bytes.substr(at, length));
      if (piece == by_bytes_.end()) continue;
      fewest[at] = rest + 1;
      first[at] = piece->second;
    }
  }
  if (fewest.front() == kNone) return std::nullopt;

  std::vector<TokenId> pieces;
  for (std::size_t at = 0; at < bytes.size(); at += vocabulary_.bytes(pieces.back()).size()) {
    pieces.push_back(first[at]);
  }
  return pieces;
}

std::optional<std::vector<TokenId>> Speller::spell(std::span<const TokenId> tokens) const {
  std::vector<TokenId> spelt;
  for (const TokenId token : tokens) {
    const auto pieces = spell(token);
    if (!pieces) return std::nullopt;
    spelt.insert(spelt.end(), pieces->begin(), pieces->end());
  }
  return spelt;
}

std::vector<std::vector<TokenId>> spell_all(const Vocabulary& vocabulary, std::span<const TokenId> kept) {
  const Speller speller(vocabulary, kept);
  std::vector<std::vector<TokenId>> spellings(static_cast<std::size_t>(vocabulary.size()));
  for (int id = 0; id < vocabulary.size(); ++id) {
    if (auto pieces = speller.spell(TokenId{id}))
      spellings[static_cast<std::size_t>(id)] = *std::move(pieces);
  }
  return spellings;
}

std::vector<TokenId> choose_kept_ids(std::span<const std::int64_t> counts, std::size_t n_most_frequent,
                                     const Vocabulary& vocabulary, std::span<const TokenId> always) {
  const auto n = static_cast<std::size_t>(vocabulary.size());
  if (counts.size() != n) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("kept ids: expected {} counts, one per piece, got {}", n, counts.size()));
  }
  std::vector<bool> is_kept(n);
  for (const std::size_t id : most_frequent(counts, n_most_frequent, vocabulary)) is_kept[id] = true;
  for (const TokenId id : always) {
    check_id(id, vocabulary);
    is_kept[index_of(id)] = true;
  }
  const std::unordered_set<char32_t> characters = characters_of(counts, vocabulary);
  std::vector<TokenId> kept;
  for (std::size_t id = 0; id < n; ++id) {
    const PieceInfo& piece = vocabulary.pieces()[id];
    const std::string_view bytes = vocabulary.byte_table()[id];
    const auto character = single_character(piece, bytes);
    const bool is_spelling =
        is_text(piece) && (bytes.size() == 1 || (character && characters.contains(*character)));
    if (is_kept[id] || is_spelling) kept.push_back(TokenId{static_cast<std::int32_t>(id)});
  }
  return kept;
}

}  // namespace tandem
