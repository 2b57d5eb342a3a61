// stories260K, the smallest real model there is: a llama of 260,000 weights that tells children's stories, in
// the format of llama2.c (tests/golden/README.md has its origin), written as the GGUF that a converter would
// make.
#pragma once

#include <string>

namespace tandem::testing {

/// f32, with its own vocabulary of 512 pieces. Throws std::runtime_error.
void write_stories_model(const std::string& path);

}  // namespace tandem::testing
