// Rewrites a GGUF file with its matrices in another type.
#pragma once

#include <functional>
#include <string>

#include "model/gguf_rewrite.h"

namespace tandem {

/// Two-dimensional weights get type `type` ("f32", "bf16", "q8_0", "q4_k", ...), norms and metadata stay.
/// `output` appears whole or not at all. `progress` is called with a fraction from 0 to 1. Throws
/// Error{kInvalidArgument} for an unknown type or one whose blocks do not divide a row, Error{kIo} if the
/// file cannot be written, Error{kBadFile} for a bad input.
RewriteResult quantize_file(const std::string& input, const std::string& output, const std::string& type,
                            const std::function<void(double)>& progress = {});

}  // namespace tandem
