// Nodes of a wide pass that treat each row by itself, rows shared out over ggml's threads.
//
// Rows "in blocks" are what wide products take: i8, ne = [bytes of the row's InputBlocks, n_rows].
#pragma once

struct ggml_context;
struct ggml_tensor;

namespace tandem {

/// x / rms(x) * gain along the first dimension. x f32 and contiguous, gain f32 ne = [x's first].
///   epsilon  must outlive the graph
ggml_tensor* wide_norm(ggml_context* context, ggml_tensor* x, ggml_tensor* gain, const float& epsilon);
/// The same in blocks. x ne = [n, n_rows].
ggml_tensor* wide_norm_blocks(ggml_context* context, ggml_tensor* x, ggml_tensor* gain, const float& epsilon);

/// x in blocks, of f32, ne = [n, n_rows].
ggml_tensor* wide_blocks(ggml_context* context, ggml_tensor* x);

}  // namespace tandem
