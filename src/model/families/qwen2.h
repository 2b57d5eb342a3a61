// Qwen 2 and 2.5: LLaMA's layers with biases on queries, keys and values.
#pragma once

#include <memory>

#include "model/config_reader.h"
#include "model/family.h"

namespace tandem {

ModelConfig read_qwen2_config(const ConfigReader& reader);
std::unique_ptr<const Family> make_qwen2(const ModelConfig& config, WeightLoader& loader);

}  // namespace tandem
