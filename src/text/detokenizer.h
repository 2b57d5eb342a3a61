// Tokens back to text, as they come: only whole, valid UTF-8 leaves, because committed text is append-only
// and half a character cannot be taken back. A code point split over several byte pieces waits until it is
// whole; bytes that can never become one are skipped, and no replacement mark is written for them.
//
// The spaces in front of a text are the vocabulary's mark of its first word and are not written.
#pragma once

#include <span>
#include <string>

#include "stream/types.h"
#include "text/vocabulary.h"

namespace tandem {

class Detokenizer {
 public:
  /// `bytes[id]`: what each piece stands for. Must outlive the detokeniser.
  explicit Detokenizer(std::span<const std::string> bytes) : bytes_(bytes) {}
  explicit Detokenizer(const Vocabulary& vocabulary) : Detokenizer(vocabulary.byte_table()) {}

  /// The text that `id` made whole; often the piece itself, empty while a code point is unfinished.
  std::string accept(TokenId id);

  /// Ends the text: an unfinished code point is dropped, and the next token opens a new text.
  void finish();

 private:
  std::span<const std::string> bytes_;
  std::string unfinished_;  // at most 3 bytes
  bool at_start_ = true;    // nothing but spaces so far
};

}  // namespace tandem
