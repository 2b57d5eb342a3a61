#include "text/utf8.h"

#include <utf8proc.h>

#include "tandem/error.h"

namespace tandem {
namespace {

struct Lead {
  std::size_t n_bytes;      // of the whole code point; 0 if the byte opens none
  unsigned char low, high;  // range of the second byte, which is where overlong forms and surrogates show
};

Lead lead_of(unsigned char byte) {
  if (byte < 0x80) return {1, 0, 0};
  if (byte < 0xC2) return {0, 0, 0};  // a continuation, or an overlong form of two bytes
  if (byte < 0xE0) return {2, 0x80, 0xBF};
  if (byte == 0xE0) return {3, 0xA0, 0xBF};
  if (byte == 0xED) return {3, 0x80, 0x9F};
  if (byte < 0xF0) return {3, 0x80, 0xBF};
  if (byte == 0xF0) return {4, 0x90, 0xBF};
  if (byte < 0xF4) return {4, 0x80, 0xBF};
  if (byte == 0xF4) return {4, 0x80, 0x8F};
  return {0, 0, 0};
}

}  // namespace

Utf8Step next_utf8(std::string_view bytes) {
  TANDEM_CHECK(!bytes.empty());
  const auto first = static_cast<unsigned char>(bytes[0]);
  const Lead lead = lead_of(first);
  if (lead.n_bytes == 0) return {Utf8Status::kInvalid, 0, 1};
  if (lead.n_bytes == 1) return {Utf8Status::kWhole, first, 1};

  char32_t value = first & (0x7Fu >> lead.n_bytes);
  for (std::size_t i = 1; i < lead.n_bytes; ++i) {
    if (i == bytes.size()) return {Utf8Status::kUnfinished, 0, i};
    const auto byte = static_cast<unsigned char>(bytes[i]);
    const unsigned char low = i == 1 ? lead.low : 0x80;
    const unsigned char high = i == 1 ? lead.high : 0xBF;
    if (byte < low || byte > high) return {Utf8Status::kInvalid, 0, i};
    value = (value << 6) | (byte & 0x3Fu);
  }
  return {Utf8Status::kWhole, value, lead.n_bytes};
}

std::optional<std::size_t> find_invalid_utf8(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const Utf8Step step = next_utf8(text.substr(at));
    if (step.status != Utf8Status::kWhole) return at;
    at += step.n_bytes;
  }
  return std::nullopt;
}

std::size_t count_code_points(std::string_view text) {
  std::size_t count = 0;
  for (std::size_t at = 0; at < text.size();) {
    const Utf8Step step = next_utf8(text.substr(at));
    if (step.status == Utf8Status::kWhole) ++count;
    at += step.n_bytes;
  }
  return count;
}

bool is_white_space(char32_t code_point) {
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(code_point))) {
    case UTF8PROC_CATEGORY_ZS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
    case UTF8PROC_CATEGORY_CC:
      return true;
    default:
      return false;
  }
}

std::vector<std::string_view> cut_word(std::string_view word) {
  std::vector<std::string_view> parts;
  std::size_t begin = 0;
  std::size_t n_code_points = 0;
  for (std::size_t at = 0; at < word.size(); ++n_code_points) {
    if (n_code_points == kMaxWordCodePoints) {
      parts.push_back(word.substr(begin, at - begin));
      begin = at;
      n_code_points = 0;
    }
    at += next_utf8(word.substr(at)).n_bytes;
  }
  if (begin < word.size()) parts.push_back(word.substr(begin));
  return parts;
}

std::vector<std::string_view> split_words(std::string_view text) {
  std::vector<std::string_view> words;
  std::size_t begin = 0;
  const auto close = [&](std::size_t end) {
    for (const std::string_view part : cut_word(text.substr(begin, end - begin))) words.push_back(part);
  };
  for (std::size_t at = 0; at < text.size();) {
    const Utf8Step step = next_utf8(text.substr(at));
    if (step.status == Utf8Status::kWhole && is_white_space(step.code_point)) {
      close(at);
      begin = at + step.n_bytes;
    }
    at += step.n_bytes;
  }
  close(text.size());
  return words;
}

}  // namespace tandem
