#include "model/quantize.h"

#include <fmt/core.h>
#include <ggml-cpp.h>
#include <ggml.h>
#include <gguf.h>

#include <cstring>
#include <vector>

#include "model/gguf_file.h"
#include "model/gguf_output.h"
#include "model/weight_types.h"
#include "tandem/error.h"

namespace tandem {

namespace {

ggml_type parse_type(const std::string& name) {
  const auto type = find_weight_type(name);
  if (!type || ggml_quantize_requires_imatrix(static_cast<ggml_type>(*type))) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("type: expected one of {}, got '{}'", list_weight_types(), name));
  }
  return static_cast<ggml_type>(*type);
}

bool is_matrix(const StoredTensor& tensor) {
  return tensor.n_dims == 2 && is_weight_type(tensor.type);
}

void check_blocks(const GgufFile& file, const StoredTensor& tensor, ggml_type type) {
  const std::int64_t block = ggml_blck_size(type);
  if (tensor.shape[0] % block == 0) return;
  throw Error(ErrorCode::kInvalidArgument,
              fmt::format("{}: tensor '{}': {} needs rows of a multiple of {}, got rows of {}", file.path(),
                          tensor.name, type_name(type), block, tensor.shape[0]));
}

/// The new file's header: all metadata, and every tensor with its type. The tensors' data are null.
gguf_context_ptr describe_output(const GgufFile& file, ggml_type type, ggml_context* context) {
  gguf_context_ptr header(gguf_init_empty());
  gguf_set_kv(header.get(), file.context());
  constexpr std::uint32_t kQuantizationVersion = GGML_QNT_VERSION;
  if (ggml_is_quantized(type))
    gguf_set_val_u32(header.get(), "general.quantization_version", kQuantizationVersion);
  // `general.file_type` numbers mixtures of types; the tensors themselves say what they are.
  gguf_remove_key(header.get(), "general.file_type");
  // ggml lays out new files at its own alignment, whatever the key says.
  gguf_remove_key(header.get(), "general.alignment");
  for (const StoredTensor& stored : file.tensors()) {
    const ggml_type wanted = is_matrix(stored) ? type : static_cast<ggml_type>(stored.type);
    ggml_tensor* tensor = ggml_new_tensor(context, wanted, stored.n_dims, stored.shape.data());
    ggml_set_name(tensor, stored.name.c_str());
    gguf_add_tensor(header.get(), tensor);
  }
  return header;
}

std::vector<float> to_f32(const StoredTensor& tensor) {
  const auto n = static_cast<std::size_t>(tensor.shape[0] * tensor.shape[1]);
  std::vector<float> values(n);
  if (tensor.type == GGML_TYPE_F32) {
    std::memcpy(values.data(), tensor.data.data(), n * sizeof(float));
  } else {
    ggml_get_type_traits(static_cast<ggml_type>(tensor.type))
        ->to_float(tensor.data.data(), values.data(), static_cast<std::int64_t>(n));
  }
  return values;
}

std::vector<std::byte> convert(const StoredTensor& tensor, ggml_type type) {
  const std::vector<float> values = to_f32(tensor);
  std::vector<std::byte> converted(ggml_row_size(type, tensor.shape[0]) *
                                   static_cast<std::size_t>(tensor.shape[1]));
  ggml_quantize_chunk(type, values.data(), converted.data(), 0, tensor.shape[1], tensor.shape[0], nullptr);
  return converted;
}

}  // namespace

QuantizeResult quantize_file(const std::string& input, const std::string& output,
                             const std::string& type_name_wanted,
                             const std::function<void(double)>& progress) {
  const ggml_type type = parse_type(type_name_wanted);
  const auto file = GgufFile::open(input);
  for (const StoredTensor& tensor : file->tensors()) {
    if (is_matrix(tensor)) check_blocks(*file, tensor, type);
  }
  const ggml_context_ptr context(
      ggml_init({(file->tensors().size() + 1) * ggml_tensor_overhead(), nullptr, true}));
  const gguf_context_ptr header = describe_output(*file, type, context.get());

  GgufOutput out(output, header.get());
  QuantizeResult result;
  result.bytes_before = file->mapping().size();
  std::size_t bytes_done = 0;
  for (const StoredTensor& tensor : file->tensors()) {
    if (is_matrix(tensor) && tensor.type != type) {
      out.write(convert(tensor, type));
      ++result.n_matrices;
    } else {
      out.write(tensor.data);
    }
    bytes_done += tensor.data.size();
    if (progress) progress(static_cast<double>(bytes_done) / static_cast<double>(result.bytes_before));
  }
  result.bytes_after = out.commit();
  return result;
}

}  // namespace tandem
