// What a caller may choose about a model and its networks.
#pragma once

#include <string>

namespace tandem {

/// Where matrices lie.
enum class WeightLayout {
  kFastest,   // repacked where the device has kernels for it
  kAsStored,  // as in the file: the plain path, and the least memory
};

/// How K and V are kept. f16 takes half of f32, but CPUs then sum V in f16: slot order moves results by 1e-3.
/// q8_0 and q4_0 are ggml's blocks of 32 numbers with one scale: 8.5 and 4.5 bits a number; V is summed in
/// f32.
enum class CacheType { kF32, kF16, kQ8, kQ4 };

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
