// A GGUF file being written: header first, then the tensors' bytes in the header's order. It takes its name
// only when it is whole and on the disk.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "files/atomic_file.h"

struct gguf_context;

namespace tandem {

class GgufOutput {
 public:
  /// Writes the header; it must outlive this. Throws Error{kIo}, also where `path` is a device or a folder.
  GgufOutput(std::string path, const gguf_context* header);

  /// The next tensor of the header, in one or several parts that together have its size. Throws Error{kIo}.
  void write(std::span<const std::byte> part);
  /// All tensors are written: flushes and renames. Gives the file's size. Throws Error{kIo}.
  std::size_t commit();

 private:
  void put(std::span<const std::byte> bytes);

  AtomicFile file_;
  const gguf_context* header_;
  std::int64_t tensor_ = 0;    // the one being written
  std::size_t n_written_ = 0;  // of its bytes
  std::size_t n_total_ = 0;
};

}  // namespace tandem
