// libllama as an application uses it: the peer of the speed benchmarks, on the same file with as many
// threads.
#pragma once

#include <llama.h>

#include <algorithm>
#include <memory>
#include <span>
#include <string>

#include "tandem/error.h"

namespace tandem::bench {

class Peer {
 public:
  Peer(const std::string& path, int n_threads, int n_context) {
    llama_log_set([](ggml_log_level, const char*, void*) {}, nullptr);
    model_.reset(llama_model_load_from_file(path.c_str(), llama_model_default_params()));
    if (!model_) throw Error(ErrorCode::kBadFile, "libllama cannot load " + path);
    auto params = llama_context_default_params();
    params.n_ctx = static_cast<std::uint32_t>(n_context);
    params.n_batch = params.n_ctx;
    params.n_threads = n_threads;
    params.n_threads_batch = n_threads;
    context_.reset(llama_init_from_model(model_.get(), params));
    if (!context_) throw Error(ErrorCode::kUnsupported, "libllama makes no context for " + path);
    n_vocab_ = llama_vocab_n_tokens(llama_model_get_vocab(model_.get()));
  }

  /// Forgets all but the first `n_tokens`.
  void keep(int n_tokens) {
    if (n_tokens == 0)
      llama_memory_clear(llama_get_memory(context_.get()), false);
    else if (!llama_memory_seq_rm(llama_get_memory(context_.get()), 0, n_tokens, -1))
      throw Error(ErrorCode::kUnsupported, "libllama cannot take back a part of this model's cache");
  }

  /// The sequence goes on with `tokens`; logits of the last one.
  void decode(std::span<llama_token> tokens) {
    check(llama_decode(context_.get(), llama_batch_get_one(tokens.data(), static_cast<int>(tokens.size()))));
  }

  /// The sequence goes on at `position`; logits of every token, or of the last one.
  void decode(std::span<const llama_token> tokens, int position, bool all_logits) {
    const auto n = static_cast<int>(tokens.size());
    llama_batch batch = llama_batch_init(n, 0, 1);
    batch.n_tokens = n;
    for (int i = 0; i < n; ++i) {
      batch.token[i] = tokens[static_cast<std::size_t>(i)];
      batch.pos[i] = position + i;
      batch.n_seq_id[i] = 1;
      batch.seq_id[i][0] = 0;
      batch.logits[i] = all_logits || i + 1 == n ? 1 : 0;
    }
    const int status = llama_decode(context_.get(), batch);
    llama_batch_free(batch);
    check(status);
    (void)llama_get_logits(context_.get());  // waits until they are there
  }

  llama_token best() const {
    const float* logits = llama_get_logits_ith(context_.get(), -1);
    return static_cast<llama_token>(std::max_element(logits, logits + n_vocab_) - logits);
  }

  int n_vocab() const { return n_vocab_; }

 private:
  static void check(int status) {
    if (status != 0) throw Error(ErrorCode::kInternal, "llama_decode failed");
  }

  struct FreeModel {
    void operator()(llama_model* model) const { llama_model_free(model); }
  };
  struct FreeContext {
    void operator()(llama_context* context) const { llama_free(context); }
  };
  std::unique_ptr<llama_model, FreeModel> model_;
  std::unique_ptr<llama_context, FreeContext> context_;
  int n_vocab_ = 0;
};

}  // namespace tandem::bench
