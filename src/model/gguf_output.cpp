#include "model/gguf_output.h"

#include <fmt/core.h>
#include <gguf.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "tandem/error.h"

namespace tandem {

GgufOutput::GgufOutput(std::string path, const gguf_context* header)
    : path_(std::move(path)), temporary_(fmt::format("{}.tmp.{}", path_, ::getpid())), header_(header) {
  std::error_code unknown;
  const auto status = std::filesystem::status(path_, unknown);
  if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status)) {
    // Renaming would put a file in the place of a device or a pipe.
    throw Error(ErrorCode::kIo, fmt::format("{}: expected a regular file or a new name", path_));
  }
  file_ = std::fopen(temporary_.c_str(), "wbx");
  if (file_ == nullptr) fail("create");
  std::vector<std::byte> meta(gguf_get_meta_size(header));
  gguf_get_meta_data(header, meta.data());
  put(meta.data(), meta.size());
}

GgufOutput::~GgufOutput() {
  if (file_ == nullptr) return;
  std::fclose(file_);
  std::remove(temporary_.c_str());
}

void GgufOutput::write(std::span<const std::byte> part) {
  TANDEM_CHECK(tensor_ < gguf_get_n_tensors(header_));
  const std::size_t size = gguf_get_tensor_size(header_, tensor_);
  n_written_ += part.size();
  TANDEM_CHECK(n_written_ <= size);
  put(part.data(), part.size());
  if (n_written_ < size) return;
  const std::size_t alignment = gguf_get_alignment(header_);
  const std::vector<std::byte> padding((alignment - size % alignment) % alignment);
  put(padding.data(), padding.size());
  ++tensor_;
  n_written_ = 0;
}

std::size_t GgufOutput::commit() {
  TANDEM_CHECK(tensor_ == gguf_get_n_tensors(header_));
  if (std::fflush(file_) != 0 || ::fsync(::fileno(file_)) != 0) fail("write");
  if (std::rename(temporary_.c_str(), path_.c_str()) != 0) fail("rename to");
  std::fclose(file_);
  file_ = nullptr;
  return n_total_;
}

void GgufOutput::put(const void* data, std::size_t size) {
  if (size > 0 && std::fwrite(data, 1, size, file_) != size) fail("write");
  n_total_ += size;
}

void GgufOutput::fail(const char* action) {
  const std::string reason = std::generic_category().message(errno);
  if (file_ != nullptr) {
    std::fclose(file_);
    std::remove(temporary_.c_str());
    file_ = nullptr;
  }
  throw Error(ErrorCode::kIo, fmt::format("{}: cannot {} it: {}", path_, action, reason));
}

}  // namespace tandem
