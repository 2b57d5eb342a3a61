// Whatever bytes arrive as source text, and whatever ids a model writes: the segmenter, the tokenizer and the
// detokeniser neither crash nor hang, their events do not depend on the chunking, and what leaves is valid
// UTF-8.
//
// The first byte of the input chooses the chunk size and the unit; the rest is the text, and, read as ids,
// the tokens.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "tandem/error.h"
#include "text/detokenizer.h"
#include "text/segmenter.h"
#include "text/utf8.h"
#include "text/vocab_files.h"

namespace {

using tandem::SourceUnit;

void require(bool condition) {
  if (!condition) std::abort();
}

std::vector<SourceUnit> segment(std::string_view text, tandem::WordUnit unit, std::size_t chunk_size) {
  tandem::Segmenter segmenter(unit);
  std::vector<SourceUnit> units;
  const auto add = [&](const std::vector<SourceUnit>& more) {
    units.insert(units.end(), more.begin(), more.end());
  };
  for (std::size_t at = 0; at < text.size(); at += chunk_size)
    add(segmenter.push(text.substr(at, chunk_size)));
  add(segmenter.finish());
  return units;
}

void check_tokenizer(const std::vector<SourceUnit>& units, const tandem::Vocabulary& vocabulary) {
  for (const SourceUnit& unit : units) {
    require(!tandem::find_invalid_utf8(unit.text).has_value());
    for (const tandem::TokenId token : vocabulary.tokenize_word(unit.text, false)) {
      require(!vocabulary.piece(token).is_masked && !vocabulary.piece(token).is_end);
    }
  }
}

void check_detokenizer(std::string_view text, const tandem::Vocabulary& vocabulary) {
  tandem::Detokenizer detokenizer(vocabulary);
  for (std::size_t i = 0; i + 1 < text.size(); i += 2) {
    const int two_bytes = static_cast<unsigned char>(text[i]) * 256 + static_cast<unsigned char>(text[i + 1]);
    const std::string out = detokenizer.accept(tandem::TokenId{two_bytes % vocabulary.size()});
    require(!tandem::find_invalid_utf8(out).has_value());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  static const auto vocabulary = tandem::testing::load_vocabulary(tandem::testing::fixture_path());
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto unit = data[0] % 2 == 0 ? tandem::WordUnit::kSpaced : tandem::WordUnit::kCodePoint;
  const std::vector<SourceUnit> whole = segment(text, unit, size);
  require(whole == segment(text, unit, 1 + data[0] / 2 % 16));
  check_tokenizer(whole, *vocabulary);
  check_detokenizer(text, *vocabulary);
  return 0;
}
