// Phi 3 and 4-mini: one matrix for queries, keys and values, one for gate and up; factors for long contexts.
#pragma once

#include <memory>

#include "model/config_reader.h"
#include "model/family.h"

namespace tandem {

ModelConfig read_phi3_config(const ConfigReader& reader);
std::unique_ptr<const Family> make_phi3(const ModelConfig& config, WeightLoader& loader);

}  // namespace tandem
