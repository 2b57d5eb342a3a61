// The configuration of a LLaMA-type model from its metadata. Whatever the graph or ggml would trip over later
// is refused here, with the key that says it.
#pragma once

#include "model/config.h"

namespace tandem {

class GgufFile;

/// Throws Error{kBadFile} for missing, absurd or contradictory values, Error{kUnsupported} for another
/// architecture, experts, or scaled RoPE.
ModelConfig read_llama_config(const GgufFile& file);

}  // namespace tandem
