// UTF-8 as it arrives: whole, cut in two, or broken.
//
// One step function (what stands at the front of these bytes?) serves the check of a line, the segmenter, the
// detokeniser and the description of vocabulary pieces, so that all four mean the same by "whole". Categories
// of code points come from utf8proc.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

namespace tandem {

enum class Utf8Status {
  kWhole,       // a code point
  kUnfinished,  // the bytes end inside a code point that more bytes could complete
  kInvalid,     // no bytes after these could make them a code point
};

struct Utf8Step {
  Utf8Status status = Utf8Status::kInvalid;
  char32_t code_point = 0;  // of a whole one
  std::size_t n_bytes = 0;  // what the step covers: the code point, the unfinished rest, or the bytes to skip
};

/// What stands at the front of `bytes`, which must not be empty. Overlong forms, surrogates and values beyond
/// U+10FFFF are invalid at the first byte that decides it.
Utf8Step next_utf8(std::string_view bytes);

/// Offset of the first byte that is not part of a whole code point; nothing if all of `text` is valid.
std::optional<std::size_t> find_invalid_utf8(std::string_view text);

/// Number of code points of `text`; bytes that are not valid UTF-8 count for nothing.
std::size_t count_code_points(std::string_view text);

/// Unicode white space (categories Zs, Zl, Zp) and every control character (Cc: NUL, tab, newline, ...), so
/// that no control character ever reaches a tokenizer. A zero-width space or joiner (Cf) is part of its word.
bool is_white_space(char32_t code_point);

/// A longer "word" is no word of any language, and one unit of a source must fit into a pass: it is cut into
/// several.
inline constexpr std::size_t kMaxWordCodePoints = 256;

/// The parts of a word, each kMaxWordCodePoints long but the last; one part for any real word, none for "".
std::vector<std::string_view> cut_word(std::string_view word);

/// The maximal runs of `text` without white space, in order, as views into it, longer ones cut every
/// kMaxWordCodePoints. Invalid bytes stay in their word: ask find_invalid_utf8 first.
std::vector<std::string_view> split_words(std::string_view text);

}  // namespace tandem
