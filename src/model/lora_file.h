// A low-rank adapter as a file holds it, in llama.cpp's layout, so that its tools load ours and we load
// theirs:
//
//   general.type = "adapter", adapter.type = "lora", general.architecture = the base's, adapter.lora.alpha
//   <tensor of the base>.lora_a   ne = [n_in, rank]
//   <tensor of the base>.lora_b   ne = [rank, n_out]       W x  becomes  W x + scale * B (A x)
//
// Everything is checked here, against the base too, before ggml or libllama see any of it.
#pragma once

#include <string>
#include <vector>

#include "model/gguf_file.h"

namespace tandem {

struct LoraPair {
  std::string target;               // the base's tensor
  const StoredTensor* a = nullptr;  // ne = [n_in, rank]
  const StoredTensor* b = nullptr;  // ne = [rank, n_out]
  float scale = 1;

  int rank() const { return static_cast<int>(b->shape[0]); }
};

struct LoraFile {
  std::string architecture;     // of the base
  float alpha = 0;              // 0: scale is 1, whatever the rank
  std::vector<LoraPair> pairs;  // by name of the target; tensors as long as the file
};

/// Whether the file says that it is an adapter, of whatever kind.
bool is_adapter(const GgufFile& file);

/// Throws Error{kBadFile} for another kind of file, a half that is missing, ranks that differ, and numbers
/// that are none; Error{kUnsupported} for adapters that do more than add a product.
LoraFile read_lora(const GgufFile& file);

/// Throws Error{kBadFile} if the base is of another architecture, lacks a tensor, or has another shape of it;
/// Error{kUnsupported} for a target that is looked up instead of multiplied with (token_embd).
void check_fits(const LoraFile& lora, const GgufFile& file, const GgufFile& base);

}  // namespace tandem
