// sacrebleu's tokenizer for Chinese ("tok:zh"): every Chinese character is a token, the rest goes by the
// rules of 13a.
//
// What counts as Chinese is the published tool's table, with its two surprises kept, for a score is
// comparable only if they are. Its entries for the planes above U+FFFF were written with escapes of four
// digits, so that they read as two-character strings and, compared with one character, cover U+2001..U+2A6D
// and U+2F81..U+2FA1: dashes, curly quotes and arrows are cut out as if they were Chinese, and the rare
// ideographs of plane 2 are not.
#pragma once

#include <string>
#include <string_view>

namespace tandem {

/// The line with spaces put between its tokens.
std::u32string tokenize_zh(std::u32string_view line);

}  // namespace tandem
