// Qwen 3: LLaMA's layers with a norm of each head's query and key, and heads of any width.
#pragma once

#include <memory>

#include "model/config_reader.h"
#include "model/family.h"

namespace tandem {

ModelConfig read_qwen3_config(const ConfigReader& reader);
std::unique_ptr<const Family> make_qwen3(const ModelConfig& config, WeightLoader& loader);

}  // namespace tandem
