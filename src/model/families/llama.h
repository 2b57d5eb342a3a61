// LLaMA: pre-norm decoder with RMS norm, rotary positions, grouped-query attention and a gated feed-forward
// part.
#pragma once

#include <memory>

#include "model/family.h"

namespace tandem {

std::unique_ptr<const Family> make_llama(const ModelConfig& config, WeightLoader& loader);

}  // namespace tandem
