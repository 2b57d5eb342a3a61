#include "model/wide_rows.h"

#include <ggml.h>

#include <span>

#include "numeric/row_loops.h"
#include "tandem/error.h"

namespace tandem {

namespace {

template <typename T>
T* row_of(const ggml_tensor* tensor, std::int64_t row) {
  return reinterpret_cast<T*>(static_cast<std::byte*>(tensor->data) +
                              tensor->nb[1] * static_cast<std::size_t>(row));
}

/// visit(row) for the thread's share of all rows.
template <typename Visit>
void for_own_rows(const ggml_tensor* y, int thread, int n_threads, Visit visit) {
  const std::int64_t n_rows = ggml_nrows(y);
  for (std::int64_t row = n_rows * thread / n_threads; row < n_rows * (thread + 1) / n_threads; ++row)
    visit(row);
}

template <typename Out>
void run_norm(ggml_tensor* y, int thread, int n_threads, void* epsilon) {
  const ggml_tensor* x = y->src[0];
  const auto* gain = static_cast<const float*>(y->src[1]->data);
  for_own_rows(y, thread, n_threads, [&](std::int64_t row) {
    normalise_row(row_of<const float>(x, row), gain, *static_cast<const float*>(epsilon), row_of<Out>(y, row),
                  x->ne[0]);
  });
}

void run_blocks(ggml_tensor* y, int thread, int n_threads, void*) {
  const ggml_tensor* x = y->src[0];
  for_own_rows(y, thread, n_threads, [&](std::int64_t row) {
    round_row(row_of<const float>(x, row), row_of<InputBlock>(y, row), x->ne[0]);
  });
}

/// Of as many rows as x, in blocks.
ggml_tensor* blocks_of_rows(ggml_context* context, std::span<ggml_tensor*> inputs, ggml_custom_op_t run,
                            void* data) {
  const ggml_tensor* x = inputs.front();
  TANDEM_CHECK(x->ne[0] % kBlockInputs == 0 && x->ne[2] == 1 && x->nb[0] == sizeof(float));
  const auto n_bytes = static_cast<std::int64_t>(sizeof(InputBlock)) * (x->ne[0] / kBlockInputs);
  return ggml_custom_4d(context, GGML_TYPE_I8, n_bytes, x->ne[1], 1, 1, inputs.data(),
                        static_cast<int>(inputs.size()), run, GGML_N_TASKS_MAX, data);
}

void check_norm(const ggml_tensor* x, const ggml_tensor* gain) {
  TANDEM_CHECK(x->type == GGML_TYPE_F32 && ggml_is_contiguous(x));
  TANDEM_CHECK(gain->type == GGML_TYPE_F32 && ggml_nelements(gain) == x->ne[0]);
}

}  // namespace

ggml_tensor* wide_norm(ggml_context* context, ggml_tensor* x, ggml_tensor* gain, const float& epsilon) {
  check_norm(x, gain);
  ggml_tensor* inputs[] = {x, gain};
  // ggml hands back what it was given, and knows no constants.
  return ggml_custom_4d(context, GGML_TYPE_F32, x->ne[0], x->ne[1], x->ne[2], x->ne[3], inputs, 2,
                        run_norm<float>, GGML_N_TASKS_MAX, const_cast<float*>(&epsilon));
}

ggml_tensor* wide_norm_blocks(ggml_context* context, ggml_tensor* x, ggml_tensor* gain,
                              const float& epsilon) {
  check_norm(x, gain);
  ggml_tensor* inputs[] = {x, gain};
  return blocks_of_rows(context, inputs, run_norm<InputBlock>, const_cast<float*>(&epsilon));
}

ggml_tensor* wide_blocks(ggml_context* context, ggml_tensor* x) {
  TANDEM_CHECK(x->type == GGML_TYPE_F32);
  return blocks_of_rows(context, {&x, 1}, run_blocks, nullptr);
}

}  // namespace tandem
