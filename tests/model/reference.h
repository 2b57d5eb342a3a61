// libllama as the yardstick: the same GGUF file, plain causal decoding.
#pragma once

#include <llama.h>

#include <memory>
#include <span>
#include <string>
#include <vector>

namespace tandem::testing {

struct LlamaDeleter {
  void operator()(llama_model* model) const { llama_model_free(model); }
  void operator()(llama_context* context) const { llama_free(context); }
};

class Libllama {
 public:
  explicit Libllama(const std::string& path, int n_threads = 1, ggml_type cache_type = GGML_TYPE_F32);

  /// Logits of every token of a text that begins a new sequence, [n_tokens * n_vocab].
  std::vector<float> logits(std::span<const int> tokens);
  /// Evaluates one more token of the sequence; its logits stay valid until the next call.
  std::span<const float> next(int token);
  void forget();

 private:
  std::unique_ptr<llama_model, LlamaDeleter> model_;
  std::unique_ptr<llama_context, LlamaDeleter> context_;
  int n_vocab_ = 0;
};

/// Fails, also for NaN, where any value is further than `tolerance` from its counterpart.
void expect_close(std::span<const float> got, std::span<const float> expected, float tolerance,
                  const std::string& what);

/// Largest distance, or NaN if any value is NaN.
float distance(std::span<const float> a, std::span<const float> b);

}  // namespace tandem::testing
