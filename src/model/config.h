// What a decoder-only network is made of, in numbers, whatever its family. Families that need more add it
// here with the value that leaves the others as they are.
#pragma once

#include <string>

namespace tandem {

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
  int n_context = 0;  // longest sequence in training; positions beyond it are allowed
  float rope_freq_base = 0;
  float norm_epsilon = 0;

  int n_embd_q() const { return n_heads * head_dim; }
  int n_embd_kv() const { return n_kv_heads * head_dim; }
};

}  // namespace tandem
