#include "model/wide_rows.h"

#include <ggml.h>

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

void run_norm(ggml_tensor* y, int thread, int n_threads, void* epsilon) {
  const auto* gain = static_cast<const float*>(y->src[1]->data);
  for_own_rows(y, thread, n_threads, [&](std::int64_t row) {
    normalise_row(row_of<const float>(y->src[0], row), gain, *static_cast<const float*>(epsilon),
                  row_of<float>(y, row), y->ne[0]);
  });
}

template <GateActivation kActivation>
void run_gate(ggml_tensor* y, int thread, int n_threads, void*) {
  for_own_rows(y, thread, n_threads, [&](std::int64_t row) {
    gate_row(kActivation, row_of<const float>(y->src[0], row), row_of<const float>(y->src[1], row),
             row_of<Bfloat16>(y, row), y->ne[0]);
  });
}

}  // namespace

ggml_tensor* wide_norm(ggml_context* context, ggml_tensor* x, ggml_tensor* gain, const float& epsilon) {
  TANDEM_CHECK(x->type == GGML_TYPE_F32 && ggml_is_contiguous(x));
  TANDEM_CHECK(gain->type == GGML_TYPE_F32 && ggml_nelements(gain) == x->ne[0]);
  ggml_tensor* values[] = {x, gain};
  // ggml hands back what it was given, and knows no constants.
  return ggml_custom_4d(context, GGML_TYPE_F32, x->ne[0], x->ne[1], x->ne[2], x->ne[3], values, 2, run_norm,
                        GGML_N_TASKS_MAX, const_cast<float*>(&epsilon));
}

ggml_tensor* wide_gate(ggml_context* context, GateActivation activation, ggml_tensor* gate, ggml_tensor* up) {
  TANDEM_CHECK(gate->type == GGML_TYPE_F32 && up->type == GGML_TYPE_F32 && ggml_are_same_shape(gate, up));
  ggml_tensor* values[] = {gate, up};
  const auto run =
      activation == GateActivation::kSilu ? run_gate<GateActivation::kSilu> : run_gate<GateActivation::kGelu>;
  return ggml_custom_4d(context, GGML_TYPE_BF16, gate->ne[0], gate->ne[1], 1, 1, values, 2, run,
                        GGML_N_TASKS_MAX, nullptr);
}

}  // namespace tandem
