#include "model/gguf_rewrite.h"

#include <fmt/core.h>
#include <ggml-cpp.h>
#include <ggml.h>
#include <gguf.h>

#include <algorithm>
#include <vector>

#include "model/gguf_file.h"
#include "model/gguf_output.h"
#include "model/weight_types.h"
#include "model/weights.h"
#include "tandem/error.h"

namespace tandem {

namespace {

constexpr int kRowsAtOnce = 1024;

bool is_matrix(const StoredTensor& tensor) {
  return tensor.n_dims == 2 && is_weight_type(tensor.type);
}

/// A tensor and what becomes of it.
struct Plan {
  const StoredTensor* tensor;
  ggml_type type;
  RowEdit edit;

  bool is_copied() const { return !edit && type == tensor->type; }
};

void check_blocks(const GgufFile& file, const Plan& plan) {
  const std::int64_t block = ggml_blck_size(plan.type);
  if (plan.tensor->shape[0] % block == 0) return;
  throw Error(ErrorCode::kInvalidArgument,
              fmt::format("{}: tensor '{}': {} needs rows of a multiple of {}, got rows of {}", file.path(),
                          plan.tensor->name, type_name(plan.type), block, plan.tensor->shape[0]));
}

std::vector<Plan> make_plans(const GgufFile& file, const RewriteTask& task) {
  std::vector<Plan> plans;
  for (const StoredTensor& tensor : file.tensors()) {
    Plan& plan = plans.emplace_back(Plan{&tensor, static_cast<ggml_type>(tensor.type), {}});
    if (!is_matrix(tensor)) continue;
    if (task.type_of) plan.type = static_cast<ggml_type>(task.type_of(tensor));
    if (task.edit_of) plan.edit = task.edit_of(tensor);
    check_blocks(file, plan);
  }
  return plans;
}

/// The new file's header: metadata, and every tensor with its type. The tensors' data are null.
gguf_context_ptr describe_output(const GgufFile& file, const std::vector<Plan>& plans,
                                 ggml_context* context) {
  gguf_context_ptr header(gguf_init_empty());
  gguf_set_kv(header.get(), file.context());
  constexpr std::uint32_t kQuantizationVersion = GGML_QNT_VERSION;
  // ggml lays out new files at its own alignment, whatever the key says.
  gguf_remove_key(header.get(), "general.alignment");
  for (const Plan& plan : plans) {
    if (plan.type != plan.tensor->type) {
      // It numbers mixtures of types; the tensors themselves say what they are.
      gguf_remove_key(header.get(), "general.file_type");
      if (ggml_is_quantized(plan.type))
        gguf_set_val_u32(header.get(), "general.quantization_version", kQuantizationVersion);
    }
    ggml_tensor* tensor = ggml_new_tensor(context, plan.type, plan.tensor->n_dims, plan.tensor->shape.data());
    ggml_set_name(tensor, plan.tensor->name.c_str());
    gguf_add_tensor(header.get(), tensor);
  }
  return header;
}

void write_anew(GgufOutput& out, const Plan& plan) {
  const RowEdit edit = plan.edit;  // what it gathers for this matrix goes with it
  const RowTable table(*plan.tensor);
  const auto width = static_cast<std::size_t>(table.width());
  std::vector<float> values;
  std::vector<std::byte> stored;
  for (int first = 0; first < table.n_rows(); first += kRowsAtOnce) {
    const int n_rows = std::min(kRowsAtOnce, table.n_rows() - first);
    values.resize(static_cast<std::size_t>(n_rows) * width);
    for (int i = 0; i < n_rows; ++i)
      table.read(first + i, std::span(values).subspan(static_cast<std::size_t>(i) * width, width));
    if (edit) edit(first, values);
    stored.resize(ggml_row_size(plan.type, table.width()) * static_cast<std::size_t>(n_rows));
    ggml_quantize_chunk(plan.type, values.data(), stored.data(), 0, n_rows, table.width(), nullptr);
    out.write(stored);
  }
}

}  // namespace

int parse_matrix_type(const std::string& name) {
  const auto type = find_weight_type(name);
  if (type && !ggml_quantize_requires_imatrix(static_cast<ggml_type>(*type))) return *type;
  throw Error(ErrorCode::kInvalidArgument,
              fmt::format("type: expected one of {}, got '{}'", list_weight_types(), name));
}

RewriteResult rewrite_gguf(const GgufFile& input, const std::string& output, const RewriteTask& task) {
  const std::vector<Plan> plans = make_plans(input, task);
  const ggml_context_ptr context(ggml_init({(plans.size() + 1) * ggml_tensor_overhead(), nullptr, true}));
  const gguf_context_ptr header = describe_output(input, plans, context.get());
  if (task.edit_keys) task.edit_keys(header.get());

  GgufOutput out(output, header.get());
  RewriteResult result{.bytes_before = input.mapping().size()};
  std::size_t bytes_done = 0;
  for (const Plan& plan : plans) {
    if (plan.is_copied())
      out.write(plan.tensor->data);
    else
      write_anew(out, plan);
    result.n_matrices += plan.is_copied() ? 0 : 1;
    bytes_done += plan.tensor->data.size();
    if (task.progress)
      task.progress(static_cast<double>(bytes_done) / static_cast<double>(result.bytes_before));
  }
  result.bytes_after = out.commit();
  return result;
}

}  // namespace tandem
