// Lines of a file or of standard input, as they arrive and with bounded memory, each checked before anybody
// reads it: a line that is not UTF-8, holds NUL bytes or is too long comes with the reason instead of its
// text.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tandem {

struct InputLine {
  std::string text;                    // without its line end ("\n" or "\r\n"); empty if it is bad
  std::optional<std::string> problem;  // what is wrong with it
};

class LineReader {
 public:
  static constexpr std::size_t kMaxLineBytes = std::size_t{1} << 20;

  /// "-" is standard input. Throws Error{kNotFound}, or Error{kIo}.
  explicit LineReader(const std::string& path);
  LineReader(const LineReader&) = delete;
  LineReader& operator=(const LineReader&) = delete;
  ~LineReader();

  /// The next line, or nothing at the end or once an interrupt was asked for (interrupt.h). A last line
  /// without a line end counts. Waits for input. Throws Error{kIo}.
  std::optional<InputLine> next();

 private:
  bool fill();

  std::string path_;
  int fd_ = -1;
  std::string buffer_;  // read, from begin_ on not yet handed out
  std::size_t begin_ = 0;
  bool is_at_end_ = false;
};

/// All lines of a file of an evaluation. Throws Error{kBadFile} naming the first bad line, and what
/// LineReader throws.
std::vector<std::string> read_all_lines(const std::string& path);

}  // namespace tandem
