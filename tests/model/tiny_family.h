// Small random models of every family, by llama.cpp's names for keys and tensors: what a converter would
// write, with numbers that tell wrong mathematics apart. Heads are wider than the width over their number
// where the family allows it, windows shorter than the texts of the tests, biases and RoPE factors far from
// neutral.
#pragma once

#include <functional>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "model/gguf_writer.h"

namespace tandem::testing {

struct FamilyShape {
  std::string architecture;
  int n_layers = 3;
  int n_embd = 256;
  int n_heads = 4;
  int n_kv_heads = 2;
  int head_dim = 64;
  int n_ff = 512;
  int n_rope_dims = 64;
  bool rope_factors = false;  // llama: rope_freqs; phi3: long and short ones, original context 1024
  bool has_window = true;     // gemma3 only; gemma2 always has one
  unsigned seed = 3;
};

inline void PrintTo(const FamilyShape& shape, std::ostream* out) {
  *out << shape.architecture;
}

/// One shape for each family, and one more for what a family may have or lack; "llama3" is llama with
/// factors.
const std::vector<std::pair<std::string, FamilyShape>>& family_shapes();

/// Positions that the windows of the windowed families reach.
inline constexpr int kTinyWindow = 8;

/// What makes a hostile file of it: the metadata before they are written, tensors before they are added.
struct FamilyEdits {
  std::function<void(gguf_context*)> metadata = {};
  std::function<void(std::string& name, int& n_in, int& n_out)> tensor = {};
};

/// Writes an f32 model.
void write_tiny_family(const std::string& path, const FamilyShape& shape, const FamilyEdits& edits = {});

}  // namespace tandem::testing
