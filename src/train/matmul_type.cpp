#include "train/matmul_type.h"

namespace tandem {

MatmulType fastest_matmul_type() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512bf16")) return MatmulType::kBfloat16;
#endif
  return MatmulType::kFloat32;
}

bool is_emulated(MatmulType type) {
#if defined(__x86_64__)
  // What libtorch asks for before it hands bfloat16 on to oneDNN.
  const bool has_products = __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
                            __builtin_cpu_supports("avx512dq");
#else
  const bool has_products = false;
#endif
  return type == MatmulType::kBfloat16 && !has_products;
}

std::string_view name_of(MatmulType type) {
  return type == MatmulType::kBfloat16 ? "bf16" : "f32";
}

}  // namespace tandem
