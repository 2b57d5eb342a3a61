// libllama and ggml write to stderr by themselves; this hands their lines to our log instead.
#pragma once

namespace tandem {

/// From now on libllama's and ggml's lines go to spdlog: its errors as our warnings (the
/// caller throws what matters), all else as debug.
/// Safe to call from several threads and more than once.
void route_llama_log();

}  // namespace tandem
