// A GGUF file, opened for reading: metadata through typed getters, tensors as views of the mapped file.
//
// ggml's reader parses the bytes; its getters abort on a wrong type, so nothing reaches them unchecked, and
// every tensor is held against the real length of the file before anybody may touch its data. The mapping
// lives as long as this object: weights that need no copy are read straight from it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

struct gguf_context;

namespace tandem {

struct TokenizerTables;

/// A file mapped read-only into memory.
class MappedFile {
 public:
  /// Throws Error{kNotFound} or Error{kIo}.
  explicit MappedFile(const std::string& path);
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile();

  std::span<const std::byte> bytes() const { return {data_, size_}; }

 private:
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

/// A tensor as the file describes it; `data` lies inside the mapping.
struct StoredTensor {
  std::string name;
  int type = 0;  // ggml_type, known to this ggml
  int n_dims = 0;
  std::array<std::int64_t, 4> shape{1, 1, 1, 1};  // ggml's order: fastest first
  std::span<const std::byte> data;
};

class GgufFile {
 public:
  /// Throws Error{kBadFile} saying where the file stops being a GGUF file.
  static std::shared_ptr<const GgufFile> open(const std::string& path);
  ~GgufFile();

  const std::string& path() const { return path_; }
  std::span<const std::byte> mapping() const { return file_.bytes(); }
  const gguf_context* context() const { return context_.get(); }

  // Metadata. find_* return nothing for an absent key; a key of another type, or an integer that does not
  // fit, is Error{kBadFile}: "model.gguf: key 'x': expected string, got u32". Plain getters also throw for an
  // absent key.
  std::optional<std::int64_t> find_integer(const std::string& key) const;  // any integer type
  std::optional<float> find_real(const std::string& key) const;            // f32 or f64
  std::optional<double> find_number(const std::string& key) const;         // any integer or real
  std::optional<bool> find_flag(const std::string& key) const;
  std::optional<std::string> find_text(const std::string& key) const;
  std::optional<std::vector<std::string>> find_texts(const std::string& key) const;
  std::optional<std::vector<std::int32_t>> find_integers(const std::string& key) const;  // i32 or u32
  std::optional<std::vector<float>> find_reals(const std::string& key) const;            // f32
  std::optional<std::vector<bool>> find_flags(const std::string& key) const;             // bool
  bool is_array(const std::string& key) const;

  std::int64_t integer(const std::string& key) const { return present(find_integer(key), key); }
  float real(const std::string& key) const { return present(find_real(key), key); }
  std::string text(const std::string& key) const { return present(find_text(key), key); }
  std::vector<std::string> texts(const std::string& key) const { return present(find_texts(key), key); }

  /// Keys in file order.
  std::vector<std::string> keys() const;

  std::span<const StoredTensor> tensors() const { return tensors_; }
  const StoredTensor* find_tensor(std::string_view name) const;

  /// Throws Error{kBadFile}: "<path>: <message>".
  [[noreturn]] void fail(const std::string& message) const;

 private:
  struct ContextDeleter {
    void operator()(gguf_context* context) const;
  };

  explicit GgufFile(const std::string& path);
  void read_tensors();
  std::optional<std::int64_t> find_id(const std::string& key) const;
  std::optional<std::int64_t> find_array(const std::string& key) const;
  std::string type_of(std::int64_t id) const;
  [[noreturn]] void fail_type(const std::string& key, std::int64_t id, std::string_view expected) const;
  [[noreturn]] void fail_missing(const std::string& key) const;

  template <typename T>
  T present(std::optional<T> value, const std::string& key) const {
    if (!value) fail_missing(key);
    return *std::move(value);
  }

  std::string path_;
  MappedFile file_;
  std::unique_ptr<gguf_context, ContextDeleter> context_;
  std::vector<StoredTensor> tensors_;
};

/// The `tokenizer.*` keys as plain values, type- and length-checked but not yet judged (text/vocabulary.h
/// does that).
TokenizerTables read_tokenizer_tables(const GgufFile& file);

}  // namespace tandem
