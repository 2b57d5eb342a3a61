// Layout, little-endian: magic, version, then step, seconds, fingerprint (length, bytes), buffers (count,
// then length and floats of each), and last a checksum of every byte before it.
#include "train/checkpoint.h"

#include <fmt/format.h>

#include <array>
#include <bit>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "files/atomic_file.h"
#include "tandem/error.h"

namespace tandem {
namespace {

static_assert(std::endian::native == std::endian::little, "checkpoints are written as memory has them");

constexpr std::array<char, 8> kMagic = {'T', 'N', 'D', 'M', 'C', 'K', 'P', '1'};
constexpr std::uint64_t kMostBuffers = 16;

std::string newest_path(const std::string& dir) {
  return dir + "/checkpoint.bin";
}
std::string previous_path(const std::string& dir) {
  return dir + "/checkpoint.previous.bin";
}

/// A hash of the bytes, eight at a time; finds damage, not malice.
class Checksum {
 public:
  void add(std::span<const char> bytes) {
    while (bytes.size() >= 8) {
      std::uint64_t word = 0;
      std::memcpy(&word, bytes.data(), 8);
      mix(word);
      bytes = bytes.subspan(8);
    }
    std::uint64_t rest = bytes.size() + 1;
    for (const char byte : bytes) rest = (rest << 8) | static_cast<unsigned char>(byte);
    mix(rest);
  }
  std::uint64_t value() const { return state_; }

 private:
  void mix(std::uint64_t word) { state_ = std::rotl((state_ ^ word) * 0x9e3779b97f4a7c15U, 29); }
  std::uint64_t state_ = 0x243f6a8885a308d3U;
};

class Writer {
 public:
  explicit Writer(AtomicFile& file) : file_(file) {}
  void bytes(std::span<const char> data) {
    checksum_.add(data);
    file_.write(std::as_bytes(data));
  }
  template <class T>
  void value(const T& value) {
    bytes({reinterpret_cast<const char*>(&value), sizeof value});
  }
  std::uint64_t checksum() const { return checksum_.value(); }

 private:
  AtomicFile& file_;
  Checksum checksum_;
};

/// Reads with every length checked against what is left of the file.
class Reader {
 public:
  explicit Reader(const std::string& path) : path_(path), in_(path, std::ios::binary) {
    std::error_code ignored;
    left_ = std::filesystem::file_size(path, ignored);
    if (!in_ || ignored) fail("cannot be read");
  }
  [[noreturn]] void fail(const std::string& what) const {
    throw Error(ErrorCode::kBadFile, fmt::format("{}: expected a whole checkpoint, but it {}", path_, what));
  }
  void bytes(std::span<char> out) {
    if (out.size() > left_) fail("ends early");
    in_.read(out.data(), static_cast<std::streamsize>(out.size()));
    if (!in_) fail("cannot be read");
    left_ -= out.size();
    checksum_.add(out);
  }
  template <class T>
  T value() {
    T out{};
    bytes({reinterpret_cast<char*>(&out), sizeof out});
    return out;
  }
  /// A count of things of `size` bytes each, which must still be in the file.
  std::size_t count(std::size_t size) {
    const auto n = value<std::uint64_t>();
    if (n > left_ / size) fail("ends early");
    return static_cast<std::size_t>(n);
  }
  std::uint64_t checksum() const { return checksum_.value(); }
  std::uintmax_t left() const { return left_; }

 private:
  std::string path_;
  std::ifstream in_;
  std::uintmax_t left_ = 0;
  Checksum checksum_;
};

Checkpoint read_checkpoint(const std::string& path) {
  Reader reader(path);
  if (reader.value<std::array<char, 8>>() != kMagic) reader.fail("has another magic number");
  Checkpoint out;
  out.step = reader.value<std::int64_t>();
  out.seconds = reader.value<double>();
  out.fingerprint.resize(reader.count(1));
  reader.bytes(out.fingerprint);
  const auto n_buffers = reader.value<std::uint64_t>();
  if (n_buffers > kMostBuffers) reader.fail(fmt::format("claims {} buffers", n_buffers));
  for (std::uint64_t i = 0; i < n_buffers; ++i) {
    std::vector<float> buffer(reader.count(sizeof(float)));
    reader.bytes({reinterpret_cast<char*>(buffer.data()), buffer.size() * sizeof(float)});
    out.buffers.push_back(std::move(buffer));
  }
  const std::uint64_t expected = reader.checksum();
  if (reader.value<std::uint64_t>() != expected) reader.fail("has a wrong checksum");
  if (reader.left() != 0) reader.fail("goes on after its end");
  return out;
}

/// The newest becomes the previous one without ever being absent under its own name.
void keep_previous(const std::string& dir) {
  if (!std::filesystem::exists(newest_path(dir))) return;
  std::error_code error;
  std::filesystem::remove(previous_path(dir), error);
  std::filesystem::create_hard_link(newest_path(dir), previous_path(dir), error);
  if (error) std::filesystem::rename(newest_path(dir), previous_path(dir), error);
  if (error) {
    throw Error(ErrorCode::kIo,
                fmt::format("{}: cannot keep the previous checkpoint: {}", dir, error.message()));
  }
}

}  // namespace

void save_checkpoint(const std::string& dir, const CheckpointView& checkpoint) {
  AtomicFile file(newest_path(dir));
  Writer writer(file);
  writer.value(kMagic);
  writer.value(checkpoint.step);
  writer.value(checkpoint.seconds);
  writer.value(static_cast<std::uint64_t>(checkpoint.fingerprint.size()));
  writer.bytes(checkpoint.fingerprint);
  writer.value(static_cast<std::uint64_t>(checkpoint.buffers.size()));
  for (const std::span<const float> buffer : checkpoint.buffers) {
    writer.value(static_cast<std::uint64_t>(buffer.size()));
    writer.bytes({reinterpret_cast<const char*>(buffer.data()), buffer.size_bytes()});
  }
  writer.value(writer.checksum());
  keep_previous(dir);
  file.commit();
}

std::optional<LoadedCheckpoint> load_checkpoint(const std::string& dir, const std::string& fingerprint) {
  LoadedCheckpoint loaded;
  for (const std::string& path : {newest_path(dir), previous_path(dir)}) {
    if (!std::filesystem::exists(path)) continue;
    try {
      loaded.checkpoint = read_checkpoint(path);
    } catch (const Error& error) {
      if (!loaded.warning.empty()) throw;
      loaded.warning = error.what();
      continue;
    }
    if (loaded.checkpoint.fingerprint != fingerprint) {
      throw Error(ErrorCode::kBadFile, fmt::format("{}: expected a checkpoint of [{}], got one of [{}]", path,
                                                   fingerprint, loaded.checkpoint.fingerprint));
    }
    return loaded;
  }
  if (!loaded.warning.empty()) throw Error(ErrorCode::kBadFile, loaded.warning + "; there is no older one");
  return std::nullopt;
}

bool has_checkpoint(const std::string& dir) {
  return std::filesystem::exists(newest_path(dir)) || std::filesystem::exists(previous_path(dir));
}

}  // namespace tandem
