#include "model/reference.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "model/ggml_log.h"

namespace tandem::testing {

Libllama::Libllama(const std::string& path, int n_threads, ggml_type cache_type) {
  route_ggml_log();
  llama_model_params model_params = llama_model_default_params();
  model_.reset(llama_model_load_from_file(path.c_str(), model_params));
  llama_context_params params = llama_context_default_params();
  params.n_ctx = 1024;
  params.n_batch = 512;
  params.n_ubatch = 512;
  params.n_threads = n_threads;
  params.n_threads_batch = n_threads;
  params.type_k = cache_type;
  params.type_v = cache_type;
  // Its fused attention rounds an f32 cache to f16 first.
  params.flash_attn_type =
      cache_type == GGML_TYPE_F32 ? LLAMA_FLASH_ATTN_TYPE_DISABLED : LLAMA_FLASH_ATTN_TYPE_ENABLED;
  context_.reset(llama_init_from_model(model_.get(), params));
  n_vocab_ = llama_vocab_n_tokens(llama_model_get_vocab(model_.get()));
}

void Libllama::forget() {
  llama_memory_clear(llama_get_memory(context_.get()), true);
}

std::vector<float> Libllama::logits(std::span<const int> tokens) {
  forget();
  llama_batch batch = llama_batch_init(static_cast<int>(tokens.size()), 0, 1);
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    batch.token[i] = tokens[i];
    batch.pos[i] = static_cast<llama_pos>(i);
    batch.n_seq_id[i] = 1;
    batch.seq_id[i][0] = 0;
    batch.logits[i] = 1;
  }
  batch.n_tokens = static_cast<int>(tokens.size());
  const int status = llama_decode(context_.get(), batch);
  llama_batch_free(batch);
  EXPECT_EQ(status, 0);
  const float* values = llama_get_logits(context_.get());
  return {values, values + tokens.size() * static_cast<std::size_t>(n_vocab_)};
}

std::span<const float> Libllama::next(int token) {
  llama_token id = token;
  EXPECT_EQ(llama_decode(context_.get(), llama_batch_get_one(&id, 1)), 0);
  return {llama_get_logits(context_.get()), static_cast<std::size_t>(n_vocab_)};
}

float distance(std::span<const float> a, std::span<const float> b) {
  EXPECT_EQ(a.size(), b.size());
  float largest = 0;
  for (std::size_t i = 0; i < a.size() && i < b.size(); ++i) {
    const float d = std::abs(a[i] - b[i]);
    if (!(d <= largest)) largest = d;
    if (std::isnan(d)) return std::numeric_limits<float>::quiet_NaN();
  }
  return largest;
}

void expect_close(std::span<const float> got, std::span<const float> expected, float tolerance,
                  const std::string& what) {
  ASSERT_EQ(got.size(), expected.size()) << what;
  const float d = distance(got, expected);
  EXPECT_TRUE(d <= tolerance) << what << ": differs by " << d << ", allowed " << tolerance;
}

}  // namespace tandem::testing
