#include "eval/tokenize_zh.h"

#include <algorithm>
#include <iterator>

#include "eval/separate.h"
#include "eval/tokenize_13a.h"
#include "eval/unicode.h"

namespace tandem {
namespace {

struct Range {
  char32_t first;
  char32_t last;  // inclusive
};

constexpr Range kChinese[] = {
    {0x2001, 0x2A6D},  // see the header
    {0x2E80, 0x2EFF},  // radicals
    {0x2F00, 0x2FDF},  // Kangxi radicals; holds the second of the header's two ranges
    {0x2FF0, 0x2FFF},  // description of ideographs
    {0x3000, 0x303F},  // punctuation
    {0x3100, 0x312F},  // Bopomofo
    {0x31A0, 0x31BF},  // Bopomofo, extended
    {0x31C0, 0x31EF},  // strokes
    {0x3200, 0x33FF},  // enclosed letters, squared words
    {0x3400, 0x4DB5},  // ideographs, extension A
    {0x4E00, 0x9FBB},  // ideographs
    {0xF900, 0xFA2D},  // compatibility ideographs, in three parts
    {0xFA30, 0xFA6A}, {0xFA70, 0xFAD9}, {0xFE10, 0xFE1F},  // vertical forms
    {0xFE30, 0xFE4F},                                      // compatibility forms
    {0xFF00, 0xFFEF},                                      // full-width and half-width forms
};

bool is_chinese(char32_t c) {
  return std::any_of(std::begin(kChinese), std::end(kChinese),
                     [c](Range range) { return c >= range.first && c <= range.last; });
}

}  // namespace

std::u32string tokenize_zh(std::u32string_view line) {
  return separate_western(separate_all(strip(line), is_chinese));
}

}  // namespace tandem
