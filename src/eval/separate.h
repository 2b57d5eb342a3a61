// One sweep of a tokenizer's rule over a line: where a mark stands beside a character of a kind, space goes
// round it.
//
// A sweep goes from left to right and takes a matching pair as used up, exactly as a global replacement by a
// regular expression does: in "a.." the second point is not looked at with the first on its left. The
// tokenizers depend on it.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace tandem {

/// Puts spaces round every character of the kind.
template <class IsMark>
std::u32string separate_all(std::u32string_view line, IsMark is_mark) {
  std::u32string out;
  for (const char32_t c : line) {
    if (is_mark(c))
      out.append({U' ', c, U' '});
    else
      out.push_back(c);
  }
  return out;
}

namespace detail {

template <class IsFirst, class IsSecond, class Write>
std::u32string rewrite_pairs(std::u32string_view line, IsFirst is_first, IsSecond is_second, Write write) {
  std::u32string out;
  std::size_t i = 0;
  while (i < line.size()) {
    if (i + 1 < line.size() && is_first(line[i]) && is_second(line[i + 1])) {
      write(out, line[i], line[i + 1]);
      i += 2;
    } else {
      out.push_back(line[i]);
      i += 1;
    }
  }
  return out;
}

}  // namespace detail

/// Pairs (before, mark) become "before mark ".
template <class IsBefore, class IsMark>
std::u32string separate_after(std::u32string_view line, IsBefore is_before, IsMark is_mark) {
  return detail::rewrite_pairs(line, is_before, is_mark,
                               [](std::u32string& out, char32_t before, char32_t mark) {
                                 out.append({before, U' ', mark, U' '});
                               });
}

/// Pairs (mark, after) become " mark after".
template <class IsMark, class IsAfter>
std::u32string separate_before(std::u32string_view line, IsMark is_mark, IsAfter is_after) {
  return detail::rewrite_pairs(line, is_mark, is_after,
                               [](std::u32string& out, char32_t mark, char32_t after) {
                                 out.append({U' ', mark, U' ', after});
                               });
}

}  // namespace tandem
