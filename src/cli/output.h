// Standard output or a file, written so that nothing gets lost in silence: a full disk is an Error, a reader
// who went away (`| head`) is OutputClosed, which ends the program quietly.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace tandem {

/// Whoever read our output wants no more. Not an error.
struct OutputClosed {};

class Output {
 public:
  /// "-" is standard output. Throws Error{kIo} if the file cannot be made.
  explicit Output(const std::string& path = "-");
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;
  ~Output();

  /// Held back until flush(), or until there is much of it. Throws Error{kIo} or OutputClosed.
  void write(std::string_view text);
  void flush();
  /// Flushes and closes: the place where a full disk may show late. Throws as flush().
  void close();

  bool is_terminal() const;
  int fd() const { return fd_; }

 private:
  [[noreturn]] void fail() const;

  std::string name_;
  int fd_ = -1;
  std::string buffer_;
};

/// As sizes of files are told.
double mebibytes(std::size_t n_bytes);

}  // namespace tandem
