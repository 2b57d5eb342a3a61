// What a decoder-only network is made of, in numbers, whatever its family. Families that need more add it
// here with the value that leaves the others as they are. docs/families.md says which key feeds which number.
#pragma once

#include <string>
#include <vector>

namespace tandem {

/// Which two dimensions of a head RoPE turns together.
enum class RopePairs {
  kNeighbours,  // 2i and 2i + 1
  kHalves,      // i and i + n_rope_dims / 2
};

/// How fast positions turn: position * scale / base^(2i / n_rope_dims).
struct RopeSpeed {
  float base = 0;
  float scale = 1;  // 1 / rope.scaling.factor
};

struct ModelConfig {
  std::string architecture;  // general.architecture: names the family
  int n_layers = 0;
  int n_embd = 0;      // width of a row
  int n_ff = 0;        // inner width of the feed-forward part
  int n_heads = 0;     // query heads
  int n_kv_heads = 0;  // key and value heads; each serves n_heads / n_kv_heads query heads
  int head_dim = 0;
  int n_rope_dims = 0;  // leading dimensions of a head that are rotated
  int n_vocab = 0;
  int n_context = 0;    // longest sequence in training; positions beyond it are allowed
  int n_positions = 0;  // 0: no limit; else rows stand below this position, where the weights still hold
  float norm_epsilon = 0;

  float embedding_scale = 1;     // of the rows that enter the first layer
  float query_scale = 1;         // of queries, by themselves
  float attention_scale = 0;     // of a query times a key
  float attention_soft_cap = 0;  // c: scores become c * tanh(score / c); 0: as they are
  float logit_soft_cap = 0;      // the same for logits

  RopePairs rope_pairs = RopePairs::kNeighbours;
  RopeSpeed rope;
  float rope_magnitude = 1;  // length of a rotated vector, of what it was

  int window = 0;                 // sliding window of the layers that have one, in positions; 0: none has
  std::vector<bool> is_windowed;  // by layer; empty: none
  RopeSpeed window_rope;          // of the layers that have a window

  int n_embd_q() const { return n_heads * head_dim; }
  int n_embd_kv() const { return n_kv_heads * head_dim; }
  bool has_window(int layer) const { return window > 0 && is_windowed[static_cast<std::size_t>(layer)]; }
  const RopeSpeed& rope_of(int layer) const { return has_window(layer) ? window_rope : rope; }
};

}  // namespace tandem
