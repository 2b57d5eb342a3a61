// The number type of a training run's matrix products; weights, gradients and sums are float32 whatever it
// is.
#pragma once

#include <string_view>

namespace tandem {

enum class MatmulType { kFloat32, kBfloat16 };

/// bfloat16 where this CPU has instructions for its products (AVX-512 BF16), else float32.
MatmulType fastest_matmul_type();

/// Whether products of this type are libtorch's plain loops here, some forty times slower than float32's:
/// bfloat16 on a CPU without AVX-512.
bool is_emulated(MatmulType type);

/// "f32", "bf16".
std::string_view name_of(MatmulType type);

}  // namespace tandem
