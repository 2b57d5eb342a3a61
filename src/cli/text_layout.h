// Words of several styles, laid out in the columns of a terminal: as wide as the terminal says a character
// is, wrapped between words, and free of anything that could steer the terminal.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tandem {

/// A run of text in one style: an escape sequence such as "\x1b[90m", or none.
struct StyledText {
  std::string text;
  std::string style;
};

/// Columns that UTF-8 text takes: two for a wide character, none for a combining one.
int columns_of(std::string_view text);

/// Lines of at most `n_columns` columns, broken between words; a longer word is broken inside. Each line
/// closes the styles that it opens. Control characters are left out. At least one line. Needs n_columns >= 2.
std::vector<std::string> lay_out(std::span<const StyledText> words, int n_columns);

/// Columns and rows of the terminal behind a descriptor; 80 x 24 if it does not say.
struct TerminalSize {
  int n_columns = 80;
  int n_rows = 24;
};
TerminalSize terminal_size(int fd);

/// Whether a live view can be shown there: a terminal that understands escape sequences.
bool can_show_live(int fd);
/// Unless $NO_COLOR is set.
bool wants_colours();

}  // namespace tandem
