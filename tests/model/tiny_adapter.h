// Small random LoRA adapters for the models of tiny_family.h, in llama.cpp's layout: every matrix of every
// layer, and the head where it is not the embeddings too. Large enough to change every answer.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "model/gguf_writer.h"

namespace tandem::testing {

struct AdapterShape {
  int rank = 8;
  float alpha = 4;
  unsigned seed = 5;
  std::vector<int> kept;  // ids, with sound `tandem.*` keys of its own; empty: none of these keys
};

/// What makes a hostile file of it, as FamilyEdits.
struct AdapterEdits {
  std::function<void(gguf_context*)> metadata = {};
  std::function<void(std::string& name, int& n_in, int& n_out)> tensor = {};
};

/// Writes an f32 adapter for the model at `base`.
void write_tiny_adapter(const std::string& path, const std::string& base, const AdapterShape& shape = {},
                        const AdapterEdits& edits = {});

}  // namespace tandem::testing
