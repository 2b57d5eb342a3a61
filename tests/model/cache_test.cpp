#include "model/cache.h"

#include <ggml.h>
#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "model/cache_type.h"
#include "model/config.h"
#include "model/weight_types.h"
#include "tandem/error.h"

namespace tandem {
namespace {

ModelConfig small_config() {
  ModelConfig config;
  config.n_layers = 3;
  config.n_kv_heads = 2;
  config.head_dim = 32;
  return config;
}

Cache make_cache(int n_slots, CacheType type = CacheType::kF32) {
  return Cache(small_config(), type, n_slots, ggml_backend_cpu_buffer_type());
}

TEST(Cache, SpansNeverOverlapAndFillTheFirstGap) {
  Cache cache = make_cache(10);
  const CacheSpan a = cache.reserve(4);
  const CacheSpan b = cache.reserve(3);
  const CacheSpan c = cache.reserve(3);
  EXPECT_EQ(a.begin, 0);
  EXPECT_EQ(b.begin, 4);
  EXPECT_EQ(c.begin, 7);
  EXPECT_EQ(cache.reserve(1).size, 0) << "full";
  cache.release(b);
  EXPECT_EQ(cache.reserve(4).size, 0) << "the gap holds 3";
  const CacheSpan d = cache.reserve(2);
  EXPECT_EQ(d.begin, 4);
  EXPECT_EQ(cache.reserve(1).begin, 6);
  EXPECT_EQ(cache.reserve(1).size, 0);
}

TEST(Cache, RefusesSpansThatItDidNotGive) {
  Cache cache = make_cache(10);
  const CacheSpan a = cache.reserve(4);
  EXPECT_THROW(cache.release({0, 3}), Error);
  cache.release(a);
  EXPECT_THROW(cache.release(a), Error) << "twice";
  EXPECT_EQ(cache.reserve(0).size, 0);
  EXPECT_EQ(cache.reserve(-1).size, 0);
}

TEST(Cache, SaysWhatASlotCosts) {
  // K and V of 3 layers with 2 heads of 32 numbers; a block has an f16 beside its numbers.
  EXPECT_EQ(make_cache(4).bytes_per_slot(), 3U * 2 * 2 * 32 * 4);
  EXPECT_EQ(make_cache(4, CacheType::kF16).bytes_per_slot(), 3U * 2 * 2 * 32 * 2);
  EXPECT_EQ(make_cache(4, CacheType::kQ8).bytes_per_slot(), 3U * 2 * 2 * (2 + 32));
  EXPECT_EQ(make_cache(4, CacheType::kQ4).bytes_per_slot(), 3U * 2 * 2 * (2 + 16));
}

TEST(Cache, TakesWhatItSays) {
  for (const CacheType type : kCacheTypes) {
    const Cache cache = make_cache(10, type);
    std::size_t bytes = 0;
    for (int i = 0; i < 3; ++i) bytes += ggml_nbytes(cache.layer(i).k) + ggml_nbytes(cache.layer(i).v);
    EXPECT_EQ(cache.bytes_per_slot() * 10, bytes);
  }
}

/// Whether slots of the last layer's V hold zeros.
std::vector<bool> zeros_of(const Cache& cache, int n_slots) {
  const ggml_tensor* v = cache.layer(2).v;
  const ggml_to_float_t to_float = ggml_get_type_traits(v->type)->to_float;
  std::vector<bool> are_zeros;
  for (int slot = 0; slot < n_slots; ++slot) {
    const char* row = static_cast<const char*>(v->data) + v->nb[1] * static_cast<std::size_t>(slot);
    std::vector<float> numbers(64);
    to_float == nullptr ? void(std::memcpy(numbers.data(), row, v->nb[1]))
                        : to_float(row, numbers.data(), 64);
    are_zeros.push_back(numbers == std::vector<float>(64));
  }
  return are_zeros;
}

TEST(Cache, SlotsAreZerosFromWhenTheyAreReadAndUntouchedBefore) {
  using Zeros = std::vector<bool>;
  for (const CacheType type : kCacheTypes) {
    Cache cache = make_cache(10, type);
    const ggml_tensor* v = cache.layer(2).v;
    std::memset(v->data, 0x7F, ggml_nbytes(v));  // no number in any of the types
    const CacheSpan span = cache.reserve(3);
    const CacheSpan other = cache.reserve(5);
    EXPECT_EQ(zeros_of(cache, 10), Zeros(10, false))
        << type_name(v->type) << ": an idle session costs no pages";
    cache.prepare(other, 2);
    EXPECT_EQ(zeros_of(cache, 10), (Zeros{0, 0, 0, 1, 1, 0, 0, 0, 0, 0})) << type_name(v->type);
    std::memset(static_cast<char*>(v->data) + v->nb[1] * 3, 0x11, v->nb[1]);  // a row is written
    cache.prepare(other, 4);
    cache.prepare(other, 1);
    cache.prepare(span, 3);
    EXPECT_EQ(zeros_of(cache, 10), (Zeros{1, 1, 1, 0, 1, 1, 1, 0, 0, 0}))
        << "a row stays, slots behind it come";
    cache.release(other);
    EXPECT_EQ(cache.reserve(5).begin, other.begin);
    cache.prepare(other, 1);
    EXPECT_TRUE(zeros_of(cache, 10)[3]) << "what a former owner left is nobody's to see";
  }
}

}  // namespace
}  // namespace tandem
