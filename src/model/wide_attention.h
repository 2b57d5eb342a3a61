// Attention of all sessions of a pass as one node: ggml's own is a node for each session, all threads waiting
// for one another behind each, which is most of the work when every session brings a row or two.
#pragma once

#include <memory>
#include <span>

#include "model/pass_shape.h"

struct ggml_context;
struct ggml_tensor;

namespace tandem {

struct ModelConfig;

/// Of one network, whose passes come one after the other.
class WideAttention {
 public:
  /// Whether keys and values of a ggml type can be read.
  static bool can_read(int type);

  /// `config` must outlive it.
  WideAttention(const ModelConfig& config, int n_threads);
  WideAttention(const WideAttention&) = delete;
  WideAttention& operator=(const WideAttention&) = delete;
  ~WideAttention();

  /// The nodes that follow are another graph's, which has these sessions.
  void begin(std::span<const SessionPart> parts);
  /// q f32, ne = [head_dim, n_heads, n_rows]; keys and values ne = [n_embd_kv, n_slots], of one type; mask
  /// f16 and order i32, one-dimensional (PassGraph). Returns f32, ne = [n_embd_q, n_rows].
  ggml_tensor* attend(ggml_context* context, ggml_tensor* q, ggml_tensor* keys, ggml_tensor* values,
                      ggml_tensor* mask, ggml_tensor* order) const;

  struct Impl;

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace tandem
