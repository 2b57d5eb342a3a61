// LLaMA (and SmolLM2, Mistral and many more): pre-norm decoder with RMS norm, rotary positions, grouped-query
// attention and a gated feed-forward part.
#pragma once

#include <memory>

#include "model/config_reader.h"
#include "model/family.h"

namespace tandem {

ModelConfig read_llama_config(const ConfigReader& reader);
std::unique_ptr<const Family> make_llama(const ModelConfig& config, WeightLoader& loader);

}  // namespace tandem
