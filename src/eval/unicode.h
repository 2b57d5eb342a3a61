// The little Unicode that scoring needs: code points, white space, categories, lower case.
//
// Published scores come from Python tools, so "white space" is what str.split() splits at and "lower case" is
// what str.lower() gives. Text is held as code points (std::u32string) inside this room: the tokenizers'
// rules speak of characters, and a byte would be the wrong unit for half of them. Tables are utf8proc's.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tandem {

/// Code points of UTF-8 text. A byte that is no part of valid UTF-8 becomes U+FFFD.
std::u32string decode_utf8(std::string_view text);

/// The set of str.isspace(): Unicode white space and the separators U+001C to U+001F.
bool is_space(char32_t c);
bool is_punctuation(char32_t c);  // category P*
bool is_symbol(char32_t c);       // category S*
bool is_number(char32_t c);       // category N*

/// Without the white space at both ends.
std::u32string_view strip(std::u32string_view text);

/// The runs between white space; none is empty.
std::vector<std::u32string> split_words(std::u32string_view text);

/// One-to-one lower case, and the one code point that has two in lower case (U+0130). A final sigma becomes
/// an ordinary one, which is where str.lower() differs.
std::u32string to_lower(std::u32string_view text);

}  // namespace tandem
