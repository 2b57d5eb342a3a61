// stories260K, the smallest trained model at hand: a llama of 260,000 weights in the format of llama2.c
// (tests/golden/README.md has its origin), written as the GGUF that a converter would make.
#pragma once

#include <string>

namespace tandem::testing {

/// f32, with a vocabulary of as many pieces, 512, though of another text. Throws std::runtime_error.
void write_stories_model(const std::string& path);

}  // namespace tandem::testing
