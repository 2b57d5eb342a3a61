#include "eval/tokenize.h"

#include "eval/separate.h"
#include "eval/tokenize_13a.h"
#include "eval/tokenize_zh.h"
#include "eval/unicode.h"
#include "tandem/error.h"

namespace tandem {
namespace {

bool is_no_number(char32_t c) {
  return !is_number(c);
}

// "1,000" stays whole, and so does a number's last point: no character follows it.
std::u32string tokenize_intl(std::u32string_view line) {
  std::u32string text = separate_after(line, is_no_number, is_punctuation);
  text = separate_before(text, is_punctuation, is_no_number);
  return separate_all(text, is_symbol);
}

std::u32string tokenize_char(std::u32string_view line) {
  return separate_all(line, [](char32_t) { return true; });
}

std::u32string separate_tokens(std::u32string_view line, Tokenizer tokenizer) {
  switch (tokenizer) {
    case Tokenizer::k13a:
      return tokenize_13a(line);
    case Tokenizer::kZh:
      return tokenize_zh(line);
    case Tokenizer::kIntl:
      return tokenize_intl(line);
    case Tokenizer::kChar:
      return tokenize_char(line);
  }
  throw Error(ErrorCode::kInternal, "tokenize: unknown tokenizer");
}

std::u32string_view strip_end(std::u32string_view text) {
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

}  // namespace

std::vector<std::u32string> tokenize(std::string_view line, Tokenizer tokenizer, Case letters) {
  std::u32string text = decode_utf8(line);
  if (letters == Case::kLower) text = to_lower(text);
  return split_words(separate_tokens(strip_end(text), tokenizer));
}

std::string_view tokenizer_name(Tokenizer tokenizer) {
  switch (tokenizer) {
    case Tokenizer::k13a:
      return "13a";
    case Tokenizer::kZh:
      return "zh";
    case Tokenizer::kIntl:
      return "intl";
    case Tokenizer::kChar:
      return "char";
  }
  throw Error(ErrorCode::kInternal, "tokenizer_name: unknown tokenizer");
}

}  // namespace tandem
