#include "cli/input.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "cli/interrupt.h"
#include "tandem/error.h"
#include "text/utf8.h"

namespace tandem {
namespace {

constexpr int kPollMilliseconds = 100;  // a signal between the check and the read must not wait for input

std::optional<std::string> problem_of(std::string_view line) {
  if (const std::size_t at = line.find('\0'); at != std::string_view::npos) {
    return fmt::format("expected text, got a NUL byte at byte {}", at + 1);
  }
  if (const auto at = find_invalid_utf8(line)) {
    return fmt::format("expected UTF-8, got byte 0x{:02X} at byte {}", static_cast<unsigned char>(line[*at]),
                       *at + 1);
  }
  return std::nullopt;
}

InputLine checked(std::string line) {
  if (!line.empty() && line.back() == '\r') line.pop_back();
  if (auto problem = problem_of(line)) return {.problem = std::move(problem)};
  return {.text = std::move(line)};
}

}  // namespace

LineReader::LineReader(const std::string& path) : path_(path == "-" ? "standard input" : path) {
  fd_ = path == "-" ? STDIN_FILENO : ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd_ < 0) {
    throw Error(errno == ENOENT ? ErrorCode::kNotFound : ErrorCode::kIo,
                fmt::format("{}: expected a readable text file: {}", path, std::strerror(errno)));
  }
}

LineReader::~LineReader() {
  if (fd_ > STDERR_FILENO) ::close(fd_);
}

/// Appends what there is to the buffer. False at the end of the input, or after an interrupt.
bool LineReader::fill() {
  std::array<char, 65536> chunk{};
  while (!is_at_end_ && !is_interrupted()) {
    pollfd waiting{.fd = fd_, .events = POLLIN, .revents = 0};
    const int n_ready = ::poll(&waiting, 1, kPollMilliseconds);
    if (n_ready == 0 || (n_ready < 0 && errno == EINTR)) continue;  // a read now could wait for ever
    const ssize_t n_bytes = ::read(fd_, chunk.data(), chunk.size());
    if (n_bytes > 0) {
      buffer_.append(chunk.data(), static_cast<std::size_t>(n_bytes));
      return true;
    }
    if (n_bytes == 0) {
      is_at_end_ = true;
    } else if (errno != EINTR) {
      throw Error(ErrorCode::kIo, fmt::format("{}: cannot be read: {}", path_, std::strerror(errno)));
    }
  }
  return false;
}

std::optional<InputLine> LineReader::next() {
  buffer_.erase(0, begin_);
  begin_ = 0;
  bool is_too_long = false;
  std::size_t n_searched = 0;
  for (;;) {
    const std::size_t end = buffer_.find('\n', n_searched);
    const bool is_whole = end != std::string::npos;
    if (is_whole || (is_at_end_ && !(buffer_.empty() && !is_too_long))) {
      const std::size_t size = is_whole ? end : buffer_.size();
      begin_ = is_whole ? end + 1 : buffer_.size();
      if (is_too_long || size > kMaxLineBytes) {
        return InputLine{.problem = fmt::format("expected at most {} bytes, got more", kMaxLineBytes)};
      }
      return checked(buffer_.substr(0, size));
    }
    if (is_at_end_ || is_interrupted()) return std::nullopt;
    n_searched = buffer_.size();
    if (buffer_.size() > kMaxLineBytes) {  // the rest of it is read and forgotten
      is_too_long = true;
      buffer_.clear();
      n_searched = 0;
    }
    fill();
  }
}

std::vector<std::string> read_all_lines(const std::string& path) {
  LineReader reader(path);
  std::vector<std::string> lines;
  while (auto line = reader.next()) {
    if (line->problem) {
      throw Error(ErrorCode::kBadFile, fmt::format("{}:{}: {}", path, lines.size() + 1, *line->problem));
    }
    lines.push_back(std::move(line->text));
  }
  return lines;
}

}  // namespace tandem
