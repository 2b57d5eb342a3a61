// libllama evaluating the same file: plain causal decoding, what Tandem's mathematics is held against. The
// one place that makes a libllama context; only `tandem verify` and tests use it.
//
// Open files with Model::load and Model::load_adapter first: libllama aborts on some that our reader refuses.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "model/model_options.h"
#include "stream/types.h"

namespace tandem {

struct YardstickOptions {
  int n_threads = 1;
  int n_context = 1024;  // tokens that a sequence may have, and a pass
  CacheType cache_type = CacheType::kF32;
  std::string adapter;  // a LoRA file; empty: none
};

class Yardstick {
 public:
  /// Throws Error{kUnsupported} if libllama does not take the file, or its adapter.
  explicit Yardstick(const std::string& path, const YardstickOptions& options = {});
  ~Yardstick();

  int n_vocab() const { return n_vocab_; }
  /// As libllama tokenises a text that begins a sequence: with BOS where the vocabulary wants one.
  std::vector<TokenId> tokenize(const std::string& text) const;

  /// Logits of every token of a text that begins a new sequence, [n_tokens * n_vocab].
  std::vector<float> logits(std::span<const TokenId> tokens);
  /// Evaluates one more token of the sequence; its logits stay valid until the next call.
  std::span<const float> next(TokenId token);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
  int n_vocab_ = 0;
};

}  // namespace tandem
