#include "model/weights.h"

#include <fmt/core.h>
#include <ggml-backend.h>
#include <ggml.h>

#include <cstring>

#include "model/backend.h"
#include "model/gguf_file.h"
#include "model/weight_types.h"
#include "tandem/error.h"

namespace tandem {

namespace {

std::string shape_text(const StoredTensor& tensor) {
  std::string text = std::to_string(tensor.shape[0]);
  for (int d = 1; d < tensor.n_dims; ++d)
    text += " x " + std::to_string(tensor.shape[static_cast<std::size_t>(d)]);
  return text;
}

bool is_aligned(const void* address, std::size_t alignment) {
  return reinterpret_cast<std::uintptr_t>(address) % alignment == 0;
}

/// Whether the device multiplies with `stored` when it lies in a buffer of `type`: asked with an empty
/// buffer, so that the answer costs nothing.
bool multiplies(ggml_backend_dev_t device, ggml_backend_buffer_type_t type, const StoredTensor& stored) {
  const ggml_backend_buffer_ptr empty(ggml_backend_buft_alloc_buffer(type, 0));
  if (!empty) return false;
  const ggml_context_ptr context(ggml_init({3 * ggml_tensor_overhead(), nullptr, true}));
  ggml_tensor* matrix = ggml_new_tensor_2d(context.get(), static_cast<ggml_type>(stored.type),
                                           stored.shape[0], stored.shape[1]);
  ggml_tensor* rows = ggml_new_tensor_2d(context.get(), GGML_TYPE_F32, stored.shape[0], 1);
  matrix->buffer = empty.get();
  return ggml_backend_dev_supports_op(device, ggml_mul_mat(context.get(), matrix, rows));
}

}  // namespace

RowTable::RowTable(const StoredTensor& tensor)
    : data_(tensor.data),
      type_(tensor.type),
      n_rows_(static_cast<int>(tensor.shape[1])),
      width_(static_cast<int>(tensor.shape[0])) {}

void RowTable::read(int row, std::span<float> out) const {
  TANDEM_CHECK(row >= 0 && row < n_rows_ && out.size() == static_cast<std::size_t>(width_));
  const std::size_t row_size = ggml_row_size(static_cast<ggml_type>(type_), width_);
  const std::byte* stored = data_.data() + row_size * static_cast<std::size_t>(row);
  if (type_ == GGML_TYPE_F32) {
    std::memcpy(out.data(), stored, row_size);
  } else {
    ggml_get_type_traits(static_cast<ggml_type>(type_))->to_float(stored, out.data(), width_);
  }
}

WeightLoader::WeightLoader(std::shared_ptr<const GgufFile> file, ggml_backend_dev_t device,
                           WeightLayout layout)
    : file_(std::move(file)), device_(device), layout_(layout) {
  ggml_backend_dev_props properties{};
  ggml_backend_dev_get_props(device_, &properties);
  can_map_ = properties.caps.buffer_from_host_ptr &&
             ggml_backend_buft_is_host(ggml_backend_dev_buffer_type(device_));
}

bool WeightLoader::has(std::string_view name) const {
  return file_->find_tensor(name) != nullptr;
}

const StoredTensor& WeightLoader::require(const std::string& name, int n_in, int n_out) {
  const StoredTensor* stored = file_->find_tensor(name);
  if (stored == nullptr) {
    throw Error(ErrorCode::kNotFound, fmt::format("{}: tensor '{}' is missing", file_->path(), name));
  }
  used_.insert(name);
  const bool fits = stored->shape[0] == n_in && stored->shape[1] == n_out && stored->n_dims <= 2;
  if (!fits) {
    file_->fail(fmt::format("tensor '{}': expected {} x {}, got {}", name, n_in, n_out, shape_text(*stored)));
  }
  if (!is_weight_type(stored->type)) {
    throw Error(ErrorCode::kUnsupported,
                fmt::format("{}: tensor '{}': expected one of {}, got {}", file_->path(), name,
                            list_weight_types(), type_name(stored->type)));
  }
  return *stored;
}

ggml_tensor* WeightLoader::matrix(const std::string& name, int n_in, int n_out) {
  const StoredTensor& stored = require(name, n_in, n_out);
  return matrices_[name] = place(stored, matrix_buffer_type(stored));
}

ggml_tensor* WeightLoader::rows(const std::string& name, int n_in, int n_out, std::span<const TokenId> ids) {
  const StoredTensor& stored = require(name, n_in, n_out);
  const std::size_t row_size = ggml_row_size(static_cast<ggml_type>(stored.type), n_in);
  Gathered& gathered = gathered_.emplace_back(Gathered{stored, {}});
  gathered.bytes.reserve(ids.size() * row_size);
  for (const TokenId id : ids) {
    TANDEM_CHECK(to_int(id) >= 0 && to_int(id) < n_out);
    const auto row = stored.data.subspan(row_size * static_cast<std::size_t>(to_int(id)), row_size);
    gathered.bytes.insert(gathered.bytes.end(), row.begin(), row.end());
  }
  gathered.tensor.shape[1] = static_cast<std::int64_t>(ids.size());
  gathered.tensor.data = gathered.bytes;
  return place(gathered.tensor, matrix_buffer_type(gathered.tensor));
}

ggml_tensor* WeightLoader::vector(const std::string& name, int n) {
  const StoredTensor& stored = require(name, n, 1);
  if (stored.type != GGML_TYPE_F32) {
    throw Error(ErrorCode::kUnsupported, fmt::format("{}: tensor '{}': expected f32, got {}", file_->path(),
                                                     name, type_name(stored.type)));
  }
  return place(stored, can_stay_mapped(stored) ? nullptr : ggml_backend_dev_buffer_type(device_));
}

ggml_tensor* WeightLoader::find_vector(const std::string& name, int n) {
  return has(name) ? vector(name, n) : nullptr;
}

RowTable WeightLoader::table(const std::string& name, int width, int n_rows) {
  return RowTable(require(name, width, n_rows));
}

bool WeightLoader::can_stay_mapped(const StoredTensor& stored) const {
  const std::span<const std::byte> mapping = file_->mapping();
  const bool is_mapped = stored.data.data() >= mapping.data() &&
                         stored.data.data() + stored.data.size() <= mapping.data() + mapping.size();
  return can_map_ && is_mapped &&
         is_aligned(stored.data.data(), ggml_backend_buft_get_alignment(ggml_backend_cpu_buffer_type()));
}

ggml_backend_buffer_type_t WeightLoader::matrix_buffer_type(const StoredTensor& stored) const {
  if (layout_ == WeightLayout::kFastest) {
    for (ggml_backend_buffer_type_t type : extra_buffer_types(device_)) {
      if (multiplies(device_, type, stored)) return type;
    }
  }
  return can_stay_mapped(stored) ? nullptr : ggml_backend_dev_buffer_type(device_);
}

ggml_tensor* WeightLoader::place(const StoredTensor& stored, ggml_backend_buffer_type_t type) {
  Pool& pool = pools_[type];
  if (!pool.context) {
    // A tensor may be asked for twice (tied embeddings), never more often.
    pool.context.reset(
        ggml_init({2 * (file_->tensors().size() + 1) * ggml_tensor_overhead(), nullptr, true}));
  }
  ggml_tensor* tensor = ggml_new_tensor_2d(pool.context.get(), static_cast<ggml_type>(stored.type),
                                           stored.shape[0], stored.shape[1]);
  ggml_set_name(tensor, stored.name.c_str());
  pool.tensors.push_back({tensor, &stored});
  return tensor;
}

ggml_backend_buffer_ptr WeightLoader::map_pool(const Pool& pool) const {
  const std::span<const std::byte> bytes = file_->mapping();
  // ggml takes a writable pointer; weights are never written, and the mapping would fault if they were.
  void* base = const_cast<std::byte*>(bytes.data());
  ggml_backend_buffer_ptr buffer(
      ggml_backend_dev_buffer_from_host_ptr(device_, base, bytes.size(), bytes.size()));
  if (!buffer) return buffer;
  for (const Placement& placement : pool.tensors) {
    void* address = const_cast<std::byte*>(placement.stored->data.data());
    if (ggml_backend_tensor_alloc(buffer.get(), placement.tensor, address) != GGML_STATUS_SUCCESS)
      return nullptr;
  }
  return buffer;
}

ggml_backend_buffer_ptr WeightLoader::fill_pool(const Pool& pool, ggml_backend_buffer_type_t type) const {
  ggml_backend_buffer_ptr buffer(ggml_backend_alloc_ctx_tensors_from_buft(pool.context.get(), type));
  if (!buffer) return buffer;
  for (const Placement& placement : pool.tensors) {
    ggml_backend_tensor_set(placement.tensor, placement.stored->data.data(), 0,
                            placement.stored->data.size());
  }
  return buffer;
}

WeightBuffers WeightLoader::finish() {
  for (const StoredTensor& stored : file_->tensors()) {
    if (used_.contains(stored.name)) continue;
    throw Error(ErrorCode::kUnsupported, fmt::format("{}: tensor '{}' has no place in this model's graph",
                                                     file_->path(), stored.name));
  }
  return place_all();
}

WeightBuffers WeightLoader::place_all() {
  WeightBuffers weights;
  weights.file = file_;
  for (auto& [type, pool] : pools_) {
    ggml_backend_buffer_ptr buffer = type == nullptr ? map_pool(pool) : fill_pool(pool, type);
    if (!buffer) throw Error(ErrorCode::kUnsupported, file_->path() + ": not enough memory for the weights");
    ggml_backend_buffer_set_usage(buffer.get(), GGML_BACKEND_BUFFER_USAGE_WEIGHTS);
    weights.buffers.push_back(std::move(buffer));
    weights.contexts.push_back(std::move(pool.context));
  }
  return weights;
}

}  // namespace tandem
