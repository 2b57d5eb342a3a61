// Gemma 2: a norm before and after each part, GELU gates, soft caps on scores and logits; every second layer
// has a sliding window.
#pragma once

#include <memory>

#include "model/config_reader.h"
#include "model/family.h"

namespace tandem {

ModelConfig read_gemma2_config(const ConfigReader& reader);
std::unique_ptr<const Family> make_gemma2(const ModelConfig& config, WeightLoader& loader);

}  // namespace tandem
