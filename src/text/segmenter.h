// Source text that arrives in pieces of any size -> the units that a session reads, each with whether it ends
// a sentence. The events depend on the text alone, never on how it was cut into chunks (DESIGN 2.5): a word
// is known to be complete only at white space or at finish().
//
// What is done with odd input: control characters, NUL among them, are white space. Bytes that are not UTF-8
// are skipped and counted. A word longer than kMaxWordCodePoints is cut into several.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "text/utf8.h"
#include "text/word_tracker.h"

namespace tandem {

/// One READ's worth of source: a word, or a code point where the language is written without spaces.
struct SourceUnit {
  std::string text;
  bool is_last = false;  // ends a sentence, as far as punctuation tells

  bool operator==(const SourceUnit&) const = default;
};

/// Whether a word ends a sentence: final punctuation (. ! ? and their relatives in other scripts), also
/// before closing quotes and brackets. Not after "." when the word is a known abbreviation ("Mr.", "z.B."),
/// letters with dots
/// ("J.", "U.S."), or a number of one or two digits (a list's "3.", German "3. Mai"; "1984." does end a
/// sentence).
bool ends_sentence(std::string_view word);

/// The units of a whole text, as views into it: what a Segmenter would make of it, without the sentence ends.
/// `text` must be valid UTF-8 (find_invalid_utf8).
std::vector<std::string_view> split_units(std::string_view text, WordUnit unit);

class Segmenter {
 public:
  explicit Segmenter(WordUnit unit) : unit_(unit) {}

  /// The units that `chunk` completed. A code point may be cut in two by the chunk's end.
  std::vector<SourceUnit> push(std::string_view chunk);

  /// The source has ended: the unit that was still open, if any. The next push opens a new source.
  std::vector<SourceUnit> finish();

  /// Bytes skipped since construction because they were not UTF-8.
  std::size_t n_skipped_bytes() const { return n_skipped_bytes_; }

 private:
  void take(char32_t code_point, std::string_view bytes, std::vector<SourceUnit>& out);
  void take_spaced(std::string_view bytes, std::vector<SourceUnit>& out);
  void take_unspaced(char32_t code_point, std::string_view bytes, std::vector<SourceUnit>& out);
  void close_word(std::vector<SourceUnit>& out);

  WordUnit unit_;
  std::string unfinished_;  // at most 3 bytes of a code point
  std::string open_;        // spaced: the word so far; unspaced: a code point that may end a sentence
  std::size_t n_open_code_points_ = 0;
  bool ends_by_dots_ = false;  // unspaced: open_ is the end of a run of nothing but '.'
  std::size_t n_skipped_bytes_ = 0;
};

}  // namespace tandem
