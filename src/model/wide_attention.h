// Attention of all sessions of a pass as one node: ggml's own is a node for each session, all threads waiting
// for one another behind each, which is most of the work when every session brings a row or two.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "model/pass_shape.h"
#include "numeric/attention_loops.h"

struct ggml_context;
struct ggml_tensor;

namespace tandem {

struct ModelConfig;

/// Adds the nodes of one graph; must live as long as the graph is computed, and not move.
class WideAttention {
 public:
  /// Whether keys and values of a ggml type can be read.
  static bool can_read(int type);

  /// `scratches`, one for each thread, and `config` must outlive it.
  WideAttention(const ModelConfig& config, std::span<const SessionPart> parts,
                std::vector<AttentionScratch>& scratches);
  WideAttention(const WideAttention&) = delete;
  WideAttention& operator=(const WideAttention&) = delete;
  ~WideAttention();

  /// q f32, ne = [head_dim, n_heads, n_rows]; keys and values ne = [n_embd_kv, n_slots], of one type; mask
  /// f16, one-dimensional. Returns f32, ne = [n_embd_q, n_rows].
  ggml_tensor* attend(ggml_context* context, ggml_tensor* q, ggml_tensor* keys, ggml_tensor* values,
                      ggml_tensor* mask);

  struct Impl;

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace tandem
