#include "model/gguf_output.h"

#include <gguf.h>

#include <utility>
#include <vector>

#include "tandem/error.h"

namespace tandem {

GgufOutput::GgufOutput(std::string path, const gguf_context* header)
    : file_(std::move(path)), header_(header) {
  std::vector<std::byte> meta(gguf_get_meta_size(header));
  gguf_get_meta_data(header, meta.data());
  put(meta);
}

void GgufOutput::write(std::span<const std::byte> part) {
  TANDEM_CHECK(tensor_ < gguf_get_n_tensors(header_));
  const std::size_t size = gguf_get_tensor_size(header_, tensor_);
  n_written_ += part.size();
  TANDEM_CHECK(n_written_ <= size);
  put(part);
  if (n_written_ < size) return;
  const std::size_t alignment = gguf_get_alignment(header_);
  put(std::vector<std::byte>((alignment - size % alignment) % alignment));
  ++tensor_;
  n_written_ = 0;
}

std::size_t GgufOutput::commit() {
  TANDEM_CHECK(tensor_ == gguf_get_n_tensors(header_));
  file_.commit();
  return n_total_;
}

void GgufOutput::put(std::span<const std::byte> bytes) {
  file_.write(bytes);
  n_total_ += bytes.size();
}

}  // namespace tandem
