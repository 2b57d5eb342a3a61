#include "model/cache_type.h"

#include <fmt/core.h>
#include <ggml.h>

#include "model/config.h"
#include "model/weight_types.h"
#include "tandem/error.h"

namespace tandem {

int element_of(CacheType type) {
  switch (type) {
    case CacheType::kF32:
      return GGML_TYPE_F32;
    case CacheType::kF16:
      return GGML_TYPE_F16;
    case CacheType::kQ8:
      return GGML_TYPE_Q8_0;
    case CacheType::kQ4:
      return GGML_TYPE_Q4_0;
  }
  throw Error(ErrorCode::kInternal, "cache: expected one of its types");
}

bool fits_cache(const ModelConfig& config, CacheType type) {
  return config.head_dim % ggml_blck_size(static_cast<ggml_type>(element_of(type))) == 0;
}

std::size_t cache_bytes_per_slot(const ModelConfig& config, CacheType type) {
  const auto element = static_cast<ggml_type>(element_of(type));
  if (!fits_cache(config, type)) {
    throw Error(ErrorCode::kUnsupported,
                fmt::format("cache: expected heads of a multiple of {} numbers, the block of {}, got {}",
                            ggml_blck_size(element), type_name(element), config.head_dim));
  }
  return 2 * static_cast<std::size_t>(config.n_layers) * ggml_row_size(element, config.n_embd_kv());
}

}  // namespace tandem
