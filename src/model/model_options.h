// What a caller may choose about a model and its networks.
#pragma once

#include <string>

namespace tandem {

/// Where matrices lie.
enum class WeightLayout {
  kFastest,   // repacked where the device has kernels for it
  kAsStored,  // as in the file: the plain path, and the least memory
};

/// Precision of K and V. f16 halves the cache, but CPUs then sum V in f16: slot order moves results by 1e-3.
enum class CacheType { kF32, kF16 };

/// How attention is computed. Both give the same to the type's tolerance; the plain one is the oracle.
enum class Attention {
  kFused,  // ggml's flash attention node
  kPlain,  // product, softmax, product
};

struct ModelOptions {
  std::string device;  // ggml's name, e.g. "CPU"; empty: the first GPU there is, else the CPU
  WeightLayout layout = WeightLayout::kFastest;
};

struct NetworkOptions {
  int n_threads = 1;
  int n_slots = 4096;  // of the cache, over all sessions
  int max_rows_per_pass = 512;
  CacheType cache_type = CacheType::kF32;
  Attention attention = Attention::kFused;
};

}  // namespace tandem
