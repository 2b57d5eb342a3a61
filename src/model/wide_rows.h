// Nodes of a wide pass that treat each row by itself, rows shared out over ggml's threads.
#pragma once

#include "numeric/vector_loops.h"

struct ggml_context;
struct ggml_tensor;

namespace tandem {

/// x / rms(x) * gain along the first dimension. x f32 and contiguous, gain f32 ne = [x's first].
///   epsilon  must outlive the graph
ggml_tensor* wide_norm(ggml_context* context, ggml_tensor* x, ggml_tensor* gain, const float& epsilon);

/// activation(gate) * up, of f32, ne = [n, n_rows] both. Returns bf16, as wide products take it.
ggml_tensor* wide_gate(ggml_context* context, GateActivation activation, ggml_tensor* gate, ggml_tensor* up);

}  // namespace tandem
