// Products with wide matrices as nodes of a pass' graph: outputs are shared out over ggml's threads. The same
// arithmetic for any number of threads and of rows.
#pragma once

struct ggml_context;
struct ggml_tensor;

namespace tandem {

class WideMatrix;

/// matrix x. x i8, ne = [bytes of n_in numbers in blocks, n_rows] (wide_rows.h). Returns f32,
/// ne = [n_out, n_rows]. The matrix must outlive the graph.
ggml_tensor* wide_product(ggml_context* context, const WideMatrix& matrix, ggml_tensor* x);

}  // namespace tandem
