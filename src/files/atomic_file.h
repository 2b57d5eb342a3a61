// A file that is either there whole or not at all: written beside its place, flushed to the disk, then
// renamed. A full disk or a killed process leaves what was there before.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace tandem {

class AtomicFile {
 public:
  /// Opens a temporary file in the folder of `path`. Throws Error{kIo} with the system's reason, also where
  /// `path` is a device or a folder.
  explicit AtomicFile(std::string path);
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  /// Without a commit nothing remains.
  ~AtomicFile();

  /// Throws Error{kIo}, for instance when the disk is full.
  void write(std::span<const std::byte> bytes);
  /// Flushes and renames. Throws Error{kIo}; then the file at `path` is as it was.
  void commit();

 private:
  [[noreturn]] void fail(const char* doing) const;

  std::string path_;
  std::string temporary_;
  int descriptor_ = -1;
};

}  // namespace tandem
