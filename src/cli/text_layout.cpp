#include "cli/text_layout.h"

#include <sys/ioctl.h>
#include <unistd.h>
#include <utf8proc.h>

#include <algorithm>
#include <cstdlib>

#include "text/utf8.h"

namespace tandem {
namespace {

constexpr std::string_view kPlain = "\x1b[0m";

/// One code point as a terminal shows it.
struct Cell {
  std::string_view bytes;  // empty for what must not be shown
  int n_columns = 0;
};

Cell take_cell(std::string_view& rest) {
  const Utf8Step step = next_utf8(rest);
  const std::string_view bytes = rest.substr(0, step.n_bytes);
  rest.remove_prefix(step.n_bytes);
  if (step.status != Utf8Status::kWhole) return {};
  const auto code_point = static_cast<utf8proc_int32_t>(step.code_point);
  if (utf8proc_category(code_point) == UTF8PROC_CATEGORY_CC) return {};
  return {bytes, utf8proc_charwidth(code_point)};
}

/// Lines under construction.
class Layout {
 public:
  explicit Layout(int n_columns) : n_columns_(n_columns), lines_(1) {}

  void add_word(const StyledText& word) {
    const int width = columns_of(word.text);
    if (n_used_ > 0 && n_used_ + 1 + width > n_columns_) break_line();
    if (n_used_ > 0) add(" ", 1);
    lines_.back() += word.style;
    for (std::string_view rest = word.text; !rest.empty();) {
      const Cell cell = take_cell(rest);
      if (n_used_ + cell.n_columns > n_columns_) {
        if (!word.style.empty()) lines_.back() += kPlain;
        break_line();
        lines_.back() += word.style;
      }
      add(cell.bytes, cell.n_columns);
    }
    if (!word.style.empty()) lines_.back() += kPlain;
  }

  std::vector<std::string> lines() && { return std::move(lines_); }

 private:
  void add(std::string_view bytes, int n_columns) {
    lines_.back() += bytes;
    n_used_ += n_columns;
  }
  void break_line() {
    lines_.emplace_back();
    n_used_ = 0;
  }

  int n_columns_;
  int n_used_ = 0;
  std::vector<std::string> lines_;
};

}  // namespace

int columns_of(std::string_view text) {
  int width = 0;
  while (!text.empty()) width += take_cell(text).n_columns;
  return width;
}

std::vector<std::string> lay_out(std::span<const StyledText> words, int n_columns) {
  Layout layout(std::max(n_columns, 2));
  for (const StyledText& word : words) layout.add_word(word);
  return std::move(layout).lines();
}

TerminalSize terminal_size(int fd) {
  winsize size = {};
  if (::ioctl(fd, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0) return {};
  return {.n_columns = size.ws_col, .n_rows = size.ws_row};
}

bool can_show_live(int fd) {
  const char* terminal = std::getenv("TERM");
  return ::isatty(fd) == 1 && terminal != nullptr && std::string_view(terminal) != "dumb";
}

bool wants_colours() {
  const char* no_color = std::getenv("NO_COLOR");
  return no_color == nullptr || *no_color == '\0';
}

}  // namespace tandem
