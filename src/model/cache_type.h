// How K and V may be kept, and what that costs: known from a model's numbers alone, before any memory is
// taken, so that an engine can say it before it admits a session and `tandem inspect` without running one.
#pragma once

#include <array>
#include <cstddef>

#include "model/model_options.h"

namespace tandem {

struct ModelConfig;

/// All there are, the most exact first.
inline constexpr std::array kCacheTypes = {CacheType::kF32, CacheType::kF16, CacheType::kQ8, CacheType::kQ4};

/// Its ggml_type.
int element_of(CacheType type);

/// Whether a head is a whole number of the type's blocks: attention reads head by head.
bool fits_cache(const ModelConfig& config, CacheType type);

/// Of K and V of one row, over all layers. Throws Error{kUnsupported} if the type does not fit.
std::size_t cache_bytes_per_slot(const ModelConfig& config, CacheType type);

}  // namespace tandem
