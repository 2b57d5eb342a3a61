#include "cli/output.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "tandem/error.h"

namespace tandem {
namespace {

constexpr std::size_t kFlushBytes = 65536;

}  // namespace

Output::Output(const std::string& path) : name_(path == "-" ? "standard output" : path) {
  fd_ = path == "-" ? STDOUT_FILENO : ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd_ < 0) fail();
}

Output::~Output() {
  if (fd_ > STDERR_FILENO) ::close(fd_);
}

void Output::fail() const {
  throw Error(ErrorCode::kIo, fmt::format("{}: cannot be written: {}", name_, std::strerror(errno)));
}

void Output::write(std::string_view text) {
  buffer_ += text;
  if (buffer_.size() >= kFlushBytes) flush();
}

void Output::flush() {
  std::string_view rest = buffer_;
  while (!rest.empty()) {
    const ssize_t n_bytes = ::write(fd_, rest.data(), rest.size());
    if (n_bytes >= 0) {
      rest.remove_prefix(static_cast<std::size_t>(n_bytes));
    } else if (errno != EINTR) {
      const bool is_closed = errno == EPIPE;
      buffer_.clear();
      if (is_closed) throw OutputClosed{};
      fail();
    }
  }
  buffer_.clear();
}

void Output::close() {
  flush();
  if (fd_ <= STDERR_FILENO) return;
  const int fd = fd_;
  fd_ = -1;
  if (::close(fd) != 0) fail();
}

bool Output::is_terminal() const {
  return ::isatty(fd_) == 1;
}

double mebibytes(std::size_t n_bytes) {
  return static_cast<double>(n_bytes) / (1 << 20);
}

}  // namespace tandem
