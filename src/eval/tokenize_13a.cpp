#include "eval/tokenize_13a.h"

#include "eval/separate.h"

namespace tandem {
namespace {

bool is_digit(char32_t c) {
  return c >= U'0' && c <= U'9';
}
bool is_no_digit(char32_t c) {
  return !is_digit(c);
}
bool is_point_or_comma(char32_t c) {
  return c == U'.' || c == U',';
}
bool is_hyphen(char32_t c) {
  return c == U'-';
}

// All ASCII punctuation but the apostrophe, comma, hyphen and point, which depend on their neighbours.
bool stands_alone(char32_t c) {
  constexpr std::u32string_view kMarks = U"!\"#$%&()*+/:;<=>?@[\\]^_`{|}~";
  return kMarks.find(c) != std::u32string_view::npos;
}

void replace_all(std::u32string& text, std::u32string_view from, std::u32string_view to) {
  for (std::size_t at = text.find(from); at != std::u32string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
}

}  // namespace

std::u32string separate_western(std::u32string_view line) {
  std::u32string text = separate_all(line, stands_alone);
  text = separate_after(text, is_no_digit, is_point_or_comma);
  text = separate_before(text, is_point_or_comma, is_no_digit);
  return separate_after(text, is_digit, is_hyphen);
}

std::u32string tokenize_13a(std::u32string_view line) {
  std::u32string text(line);
  replace_all(text, U"<skipped>", U"");
  replace_all(text, U"-\n", U"");
  replace_all(text, U"\n", U" ");
  replace_all(text, U"&quot;", U"\"");
  replace_all(text, U"&amp;", U"&");  // before the next two, so that "&amp;lt;" ends as "<"
  replace_all(text, U"&lt;", U"<");
  replace_all(text, U"&gt;", U">");
  return separate_western(U' ' + text + U' ');
}

}  // namespace tandem
