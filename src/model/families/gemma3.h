// Gemma 3: a norm before and after each part, norms of queries and keys, GELU gates; five layers with a
// sliding window and a RoPE base of their own for each one without.
#pragma once

#include <memory>

#include "model/config_reader.h"
#include "model/family.h"

namespace tandem {

ModelConfig read_gemma3_config(const ConfigReader& reader);
std::unique_ptr<const Family> make_gemma3(const ModelConfig& config, WeightLoader& loader);

}  // namespace tandem
