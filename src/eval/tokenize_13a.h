// The tokenizer of WMT's mteval-v13a, sacrebleu's default ("tok:13a"), and the part of it that others share.
//
// It knows ASCII punctuation and digits and nothing else; that is what makes a score comparable with a
// published one. The four rules are ordered sweeps over the line, as regular expressions are applied one
// after the other; see separate.h for the sweep.
#pragma once

#include <string>
#include <string_view>

namespace tandem {

/// The line with spaces put between its tokens. Undoes the four SGML escapes, joins at a hyphen before a line
/// break.
std::u32string tokenize_13a(std::u32string_view line);

/// The rules for Western punctuation alone, without the padding that lets 13a cut at the line's ends.
std::u32string separate_western(std::u32string_view line);

}  // namespace tandem
