#include "text/segmenter.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <utility>

namespace tandem {
namespace {

/// Sentence-final marks: Latin, CJK full and half width, Arabic, Urdu, Devanagari, Ethiopic, Armenian,
/// Burmese, Khmer.
bool is_final_mark(char32_t c) {
  static constexpr std::u32string_view kMarks = U".!?…‼⁇⁈⁉。．！？｡؟۔।॥።։။៕";
  return kMarks.find(c) != std::u32string_view::npos;
}

/// What may stand between the final mark and the white space after it: closing quotes and brackets.
bool is_closing(char32_t c) {
  const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(c));
  return c == U'"' || c == U'\'' || category == UTF8PROC_CATEGORY_PE || category == UTF8PROC_CATEGORY_PF;
}

/// German closes with “ and «, which other languages open with; at the end of a word the question does not
/// arise.
bool is_closing_in_word(char32_t c) {
  return is_closing(c) || utf8proc_category(static_cast<utf8proc_int32_t>(c)) == UTF8PROC_CATEGORY_PI;
}

bool is_letter(char32_t c) {
  const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(c));
  return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO;
}

bool is_digit(char32_t c) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(c)) == UTF8PROC_CATEGORY_ND;
}

std::u32string decode(std::string_view text) {
  std::u32string out;
  for (std::size_t at = 0; at < text.size();) {
    const Utf8Step step = next_utf8(text.substr(at));
    if (step.status == Utf8Status::kWhole) out += step.code_point;
    at += step.n_bytes;
  }
  return out;
}

/// Abbreviations that are followed by more of their sentence far more often than not; lower case, without the
/// dot.
bool is_abbreviation(std::u32string_view word) {
  static constexpr std::array<std::u32string_view, 36> kKnown = {
      U"mr",  U"mrs", U"ms",  U"dr",  U"prof", U"st", U"sr",   U"jr",  U"gen",  U"col", U"capt",   U"lt",
      U"sen", U"rep", U"gov", U"rev", U"hon",  U"vs", U"cf",   U"fig", U"vol",  U"ed",  U"approx", U"al",
      U"hr",  U"fr",  U"nr",  U"bzw", U"vgl",  U"ca", U"evtl", U"ggf", U"inkl", U"mme", U"mlle",   U"sog"};
  std::u32string lower(word);
  for (char32_t& c : lower) c = static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c)));
  return std::find(kKnown.begin(), kKnown.end(), lower) != kKnown.end();
}

/// "J", "U.S", "z.B", "e.g": single letters with dots between them.
bool is_dotted_letters(std::u32string_view word) {
  for (std::size_t i = 0; i < word.size(); ++i) {
    const bool is_right = i % 2 == 0 ? is_letter(word[i]) : word[i] == U'.';
    if (!is_right) return false;
  }
  return word.size() % 2 == 1;
}

bool is_short_number(std::u32string_view word) {
  return (word.size() == 1 || word.size() == 2) && std::all_of(word.begin(), word.end(), is_digit);
}

}  // namespace

bool ends_sentence(std::string_view word) {
  const std::u32string decoded = decode(word);
  std::u32string_view rest = decoded;
  while (!rest.empty() && is_closing_in_word(rest.back())) rest.remove_suffix(1);
  if (rest.empty() || !is_final_mark(rest.back())) return false;
  if (rest.back() != U'.') return true;
  rest.remove_suffix(1);
  while (!rest.empty() && !is_letter(rest.front()) && !is_digit(rest.front())) rest.remove_prefix(1);
  return !(is_abbreviation(rest) || is_dotted_letters(rest) || is_short_number(rest));
}

std::vector<std::string_view> split_units(std::string_view text, WordUnit unit) {
  if (unit == WordUnit::kSpaced) return split_words(text);
  std::vector<std::string_view> units;
  for (std::size_t at = 0; at < text.size();) {
    const Utf8Step step = next_utf8(text.substr(at));
    if (step.status == Utf8Status::kWhole && !is_white_space(step.code_point)) {
      units.push_back(text.substr(at, step.n_bytes));
    }
    at += step.n_bytes;
  }
  return units;
}

std::vector<SourceUnit> Segmenter::push(std::string_view chunk) {
  std::vector<SourceUnit> out;
  std::string joined;
  if (!unfinished_.empty()) {
    joined = std::exchange(unfinished_, {});
    joined += chunk;
    chunk = joined;
  }
  for (std::size_t at = 0; at < chunk.size();) {
    const std::string_view rest = chunk.substr(at);
    const Utf8Step step = next_utf8(rest);
    if (step.status == Utf8Status::kWhole) take(step.code_point, rest.substr(0, step.n_bytes), out);
    if (step.status == Utf8Status::kUnfinished) unfinished_ = rest;
    if (step.status == Utf8Status::kInvalid) n_skipped_bytes_ += step.n_bytes;
    at += step.n_bytes;
  }
  return out;
}

std::vector<SourceUnit> Segmenter::finish() {
  n_skipped_bytes_ += unfinished_.size();
  unfinished_.clear();
  std::vector<SourceUnit> out;
  close_word(out);
  return out;
}

void Segmenter::take(char32_t code_point, std::string_view bytes, std::vector<SourceUnit>& out) {
  if (is_white_space(code_point)) {
    close_word(out);
  } else if (unit_ == WordUnit::kSpaced) {
    take_spaced(bytes, out);
  } else {
    take_unspaced(code_point, bytes, out);
  }
}

void Segmenter::take_spaced(std::string_view bytes, std::vector<SourceUnit>& out) {
  if (n_open_code_points_ == kMaxWordCodePoints) {
    out.push_back({std::exchange(open_, {}), false});
    n_open_code_points_ = 0;
  }
  open_ += bytes;
  ++n_open_code_points_;
}

/// A final mark waits for the code point after it: a closing quote or another mark takes the end of the
/// sentence over, and a '.' with anything but white space after it ("3.5", "a.b") ended none.
void Segmenter::take_unspaced(char32_t code_point, std::string_view bytes, std::vector<SourceUnit>& out) {
  const bool is_mark = is_final_mark(code_point);
  if (!open_.empty()) {
    const bool goes_on = is_mark || is_closing(code_point);
    out.push_back({std::exchange(open_, {}), !goes_on && !ends_by_dots_});
    if (goes_on) {
      ends_by_dots_ = ends_by_dots_ && (code_point == U'.' || !is_mark);
      open_ = bytes;
      return;
    }
  }
  if (!is_mark) {
    out.push_back({std::string(bytes), false});
    return;
  }
  ends_by_dots_ = code_point == U'.';
  open_ = bytes;
}

void Segmenter::close_word(std::vector<SourceUnit>& out) {
  if (open_.empty()) return;
  const bool is_last = unit_ == WordUnit::kCodePoint || ends_sentence(open_);
  out.push_back({std::exchange(open_, {}), is_last});
  n_open_code_points_ = 0;
}

}  // namespace tandem
