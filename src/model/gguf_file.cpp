#include "model/gguf_file.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <gguf.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <limits>
#include <system_error>

#include "model/ggml_log.h"
#include "tandem/error.h"
#include "text/vocabulary.h"

namespace tandem {

namespace {

std::string reason(int error) {
  return std::generic_category().message(error);
}

/// Closes the descriptor on every way out; a mapping outlives it.
struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

/// An integer of whatever width the writer chose; nothing for other types and for u64 beyond i64.
std::optional<std::int64_t> integer_value(const gguf_context* context, std::int64_t id) {
  switch (gguf_get_kv_type(context, id)) {
    case GGUF_TYPE_UINT8:
      return gguf_get_val_u8(context, id);
    case GGUF_TYPE_INT8:
      return gguf_get_val_i8(context, id);
    case GGUF_TYPE_UINT16:
      return gguf_get_val_u16(context, id);
    case GGUF_TYPE_INT16:
      return gguf_get_val_i16(context, id);
    case GGUF_TYPE_UINT32:
      return gguf_get_val_u32(context, id);
    case GGUF_TYPE_INT32:
      return gguf_get_val_i32(context, id);
    case GGUF_TYPE_INT64:
      return gguf_get_val_i64(context, id);
    case GGUF_TYPE_UINT64: {
      const std::uint64_t value = gguf_get_val_u64(context, id);
      if (value > std::uint64_t{std::numeric_limits<std::int64_t>::max()}) return std::nullopt;
      return static_cast<std::int64_t>(value);
    }
    default:
      return std::nullopt;
  }
}

template <typename T>
std::vector<T> copy_array(const gguf_context* context, std::int64_t id) {
  const std::size_t n = gguf_get_arr_n(context, id);
  std::vector<T> values(n);
  if (n > 0) std::memcpy(values.data(), gguf_get_arr_data(context, id), n * sizeof(T));
  return values;
}

/// What is wrong with the first bytes, if anything; the rest is ggml's to find.
std::optional<std::string> check_header(std::span<const std::byte> bytes) {
  constexpr std::size_t kHeaderSize = 24;  // magic, version, two counts
  if (bytes.size() < 4 || std::memcmp(bytes.data(), GGUF_MAGIC, 4) != 0) {
    return fmt::format("not a GGUF file: expected it to begin with '{}'", GGUF_MAGIC);
  }
  if (bytes.size() < kHeaderSize) {
    return fmt::format("truncated: expected a header of {} bytes, got {} bytes", kHeaderSize, bytes.size());
  }
  std::uint32_t version = 0;
  std::memcpy(&version, bytes.data() + 4, sizeof version);
  if (version < 2 || version > GGUF_VERSION) {
    return fmt::format("expected GGUF version 2 to {}, got {}", GGUF_VERSION, version);
  }
  return std::nullopt;
}

}  // namespace

MappedFile::MappedFile(const std::string& path) {
  const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (file.fd < 0) {
    throw Error(errno == ENOENT ? ErrorCode::kNotFound : ErrorCode::kIo,
                fmt::format("{}: cannot open: {}", path, reason(errno)));
  }
  struct stat status {};
  if (::fstat(file.fd, &status) != 0) {
    throw Error(ErrorCode::kIo, fmt::format("{}: cannot read its size: {}", path, reason(errno)));
  }
  if (!S_ISREG(status.st_mode))
    throw Error(ErrorCode::kBadFile, fmt::format("{}: expected a regular file", path));
  size_ = static_cast<std::size_t>(status.st_size);
  if (size_ == 0) return;
  void* mapped = ::mmap(nullptr, size_, PROT_READ, MAP_SHARED, file.fd, 0);
  if (mapped == MAP_FAILED) {
    throw Error(ErrorCode::kIo, fmt::format("{}: cannot map {} bytes: {}", path, size_, reason(errno)));
  }
  data_ = static_cast<const std::byte*>(mapped);
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

void GgufFile::ContextDeleter::operator()(gguf_context* context) const {
  gguf_free(context);
}

std::shared_ptr<const GgufFile> GgufFile::open(const std::string& path) {
  return std::shared_ptr<const GgufFile>(new GgufFile(path));
}

GgufFile::GgufFile(const std::string& path) : path_(path), file_(path) {
  const std::span<const std::byte> bytes = file_.bytes();
  if (const auto problem = check_header(bytes)) fail(*problem);
  const GgmlErrorCapture errors;
  const gguf_init_params params{.no_alloc = true, .ctx = nullptr};
  context_.reset(gguf_init_from_buffer(bytes.data(), bytes.size(), params));
  if (!context_)
    fail(fmt::format("damaged or truncated GGUF file ({} bytes): {}", bytes.size(), errors.first()));
  read_tensors();
}

GgufFile::~GgufFile() = default;

void GgufFile::read_tensors() {
  const std::span<const std::byte> bytes = file_.bytes();
  const std::size_t data_begin = gguf_get_data_offset(context_.get());
  const std::int64_t n_tensors = gguf_get_n_tensors(context_.get());
  tensors_.reserve(static_cast<std::size_t>(n_tensors));
  for (std::int64_t id = 0; id < n_tensors; ++id) {
    StoredTensor tensor;
    tensor.name = gguf_get_tensor_name(context_.get(), id);
    tensor.type = gguf_get_tensor_type(context_.get(), id);
    const std::int64_t* shape = gguf_get_tensor_ne(context_.get(), id);
    for (std::size_t d = 0; d < tensor.shape.size(); ++d) {
      tensor.shape[d] = shape[d];
      if (shape[d] < 1)
        fail(fmt::format("tensor '{}': expected dimensions of at least 1, got {}", tensor.name, shape[d]));
      if (shape[d] > 1 || d == 0) tensor.n_dims = static_cast<int>(d) + 1;
    }
    const std::size_t offset = gguf_get_tensor_offset(context_.get(), id);
    const std::size_t size = gguf_get_tensor_size(context_.get(), id);
    const std::size_t room = data_begin <= bytes.size() ? bytes.size() - data_begin : 0;
    if (offset > room || size > room - offset) {
      fail(fmt::format("truncated: tensor '{}' needs {} bytes from byte {}, the file has {} bytes",
                       tensor.name, size, data_begin + offset, bytes.size()));
    }
    tensor.data = bytes.subspan(data_begin + offset, size);
    tensors_.push_back(std::move(tensor));
  }
}

const StoredTensor* GgufFile::find_tensor(std::string_view name) const {
  for (const StoredTensor& tensor : tensors_) {
    if (tensor.name == name) return &tensor;
  }
  return nullptr;
}

void GgufFile::fail(const std::string& message) const {
  throw Error(ErrorCode::kBadFile, path_ + ": " + message);
}

void GgufFile::fail_type(const std::string& key, std::int64_t id, std::string_view expected) const {
  fail(fmt::format("key '{}': expected {}, got {}", key, expected, type_of(id)));
}

void GgufFile::fail_missing(const std::string& key) const {
  fail(fmt::format("key '{}' is missing", key));
}

std::string GgufFile::type_of(std::int64_t id) const {
  const gguf_type type = gguf_get_kv_type(context_.get(), id);
  if (type != GGUF_TYPE_ARRAY) return gguf_type_name(type);
  return fmt::format("array of {}", gguf_type_name(gguf_get_arr_type(context_.get(), id)));
}

std::optional<std::int64_t> GgufFile::find_id(const std::string& key) const {
  const std::int64_t id = gguf_find_key(context_.get(), key.c_str());
  return id < 0 ? std::nullopt : std::optional(id);
}

std::optional<std::int64_t> GgufFile::find_array(const std::string& key) const {
  const auto id = find_id(key);
  if (id && gguf_get_kv_type(context_.get(), *id) != GGUF_TYPE_ARRAY) fail_type(key, *id, "array");
  return id;
}

std::optional<std::int64_t> GgufFile::find_integer(const std::string& key) const {
  const auto id = find_id(key);
  if (!id) return std::nullopt;
  const auto value = integer_value(context_.get(), *id);
  if (!value) fail_type(key, *id, "an integer of at most 63 bits");
  return value;
}

std::optional<float> GgufFile::find_real(const std::string& key) const {
  const auto id = find_id(key);
  if (!id) return std::nullopt;
  const gguf_type type = gguf_get_kv_type(context_.get(), *id);
  if (type == GGUF_TYPE_FLOAT32) return gguf_get_val_f32(context_.get(), *id);
  if (type == GGUF_TYPE_FLOAT64) return static_cast<float>(gguf_get_val_f64(context_.get(), *id));
  fail_type(key, *id, "f32");
}

std::optional<double> GgufFile::find_number(const std::string& key) const {
  const auto id = find_id(key);
  if (!id) return std::nullopt;
  const gguf_type type = gguf_get_kv_type(context_.get(), *id);
  if (type == GGUF_TYPE_FLOAT32 || type == GGUF_TYPE_FLOAT64) return find_real(key);
  if (const auto value = integer_value(context_.get(), *id)) return static_cast<double>(*value);
  fail_type(key, *id, "a number");
}

std::optional<bool> GgufFile::find_flag(const std::string& key) const {
  const auto id = find_id(key);
  if (!id) return std::nullopt;
  if (gguf_get_kv_type(context_.get(), *id) != GGUF_TYPE_BOOL) fail_type(key, *id, "bool");
  return gguf_get_val_bool(context_.get(), *id);
}

std::optional<std::string> GgufFile::find_text(const std::string& key) const {
  const auto id = find_id(key);
  if (!id) return std::nullopt;
  if (gguf_get_kv_type(context_.get(), *id) != GGUF_TYPE_STRING) fail_type(key, *id, "string");
  return gguf_get_val_str(context_.get(), *id);
}

std::optional<std::vector<std::string>> GgufFile::find_texts(const std::string& key) const {
  const auto id = find_array(key);
  if (!id) return std::nullopt;
  if (gguf_get_arr_type(context_.get(), *id) != GGUF_TYPE_STRING) fail_type(key, *id, "array of string");
  const std::size_t n = gguf_get_arr_n(context_.get(), *id);
  std::vector<std::string> texts;
  texts.reserve(n);
  for (std::size_t i = 0; i < n; ++i) texts.emplace_back(gguf_get_arr_str(context_.get(), *id, i));
  return texts;
}

std::optional<std::vector<std::int32_t>> GgufFile::find_integers(const std::string& key) const {
  const auto id = find_array(key);
  if (!id) return std::nullopt;
  const gguf_type type = gguf_get_arr_type(context_.get(), *id);
  if (type != GGUF_TYPE_INT32 && type != GGUF_TYPE_UINT32) fail_type(key, *id, "array of i32");
  // A u32 beyond i32 turns negative here, and every user of these arrays refuses negative values.
  return copy_array<std::int32_t>(context_.get(), *id);
}

std::optional<std::vector<float>> GgufFile::find_reals(const std::string& key) const {
  const auto id = find_array(key);
  if (!id) return std::nullopt;
  if (gguf_get_arr_type(context_.get(), *id) != GGUF_TYPE_FLOAT32) fail_type(key, *id, "array of f32");
  return copy_array<float>(context_.get(), *id);
}

std::optional<std::vector<bool>> GgufFile::find_flags(const std::string& key) const {
  const auto id = find_array(key);
  if (!id) return std::nullopt;
  if (gguf_get_arr_type(context_.get(), *id) != GGUF_TYPE_BOOL) fail_type(key, *id, "array of bool");
  const std::vector<std::uint8_t> bytes = copy_array<std::uint8_t>(context_.get(), *id);
  return std::vector<bool>(bytes.begin(), bytes.end());
}

bool GgufFile::is_array(const std::string& key) const {
  const auto id = find_id(key);
  return id && gguf_get_kv_type(context_.get(), *id) == GGUF_TYPE_ARRAY;
}

std::vector<std::string> GgufFile::keys() const {
  const std::int64_t n = gguf_get_n_kv(context_.get());
  std::vector<std::string> keys;
  keys.reserve(static_cast<std::size_t>(n));
  for (std::int64_t id = 0; id < n; ++id) keys.emplace_back(gguf_get_key(context_.get(), id));
  return keys;
}

TokenizerTables read_tokenizer_tables(const GgufFile& file) {
  constexpr std::string_view kPrefix = "tokenizer.ggml.";
  constexpr std::string_view kIdSuffix = "_token_id";
  TokenizerTables tables;
  tables.model = file.text("tokenizer.ggml.model");
  tables.pre = file.find_text("tokenizer.ggml.pre").value_or("");
  tables.pieces = file.texts("tokenizer.ggml.tokens");
  tables.scores = file.find_reals("tokenizer.ggml.scores").value_or(std::vector<float>{});
  tables.types = file.find_integers("tokenizer.ggml.token_type").value_or(std::vector<std::int32_t>{});
  tables.merges = file.find_texts("tokenizer.ggml.merges").value_or(std::vector<std::string>{});
  tables.add_space_prefix =
      file.find_flag("tokenizer.ggml.add_space_prefix").value_or(tables.model == "llama");
  for (const std::string& key : file.keys()) {
    if (key.starts_with(kPrefix) && key.ends_with(kIdSuffix))
      tables.special_ids.emplace_back(key, file.integer(key));
  }
  return tables;
}

}  // namespace tandem
