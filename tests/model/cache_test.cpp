#include "model/cache.h"

#include <gtest/gtest.h>

#include "model/config.h"
#include "tandem/error.h"

namespace tandem {
namespace {

ModelConfig small_config() {
  ModelConfig config;
  config.n_layers = 3;
  config.n_kv_heads = 2;
  config.head_dim = 8;
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
  EXPECT_EQ(make_cache(4).bytes_per_slot(), 3U * 2 * 16 * 4);
  EXPECT_EQ(make_cache(4, CacheType::kF16).bytes_per_slot(), 3U * 2 * 16 * 2);
}

}  // namespace
}  // namespace tandem
