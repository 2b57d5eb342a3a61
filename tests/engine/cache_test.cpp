// What an engine says that a session will cost, before one is open.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/tiny_llama.h"
#include "tandem/engine.h"

namespace tandem {
namespace {

class EngineCache : public ::testing::Test {
 protected:
  std::int64_t session_bytes(CachePrecision cache, int n_sessions = 2) const {
    const EngineOptions options{
        .n_threads = 1, .session_slots = 200, .max_sessions = n_sessions, .cache = cache};
    return Engine::load(model_, options).session_bytes();
  }

  testing::TemporaryFolder folder_;
  std::string model_ = folder_.file("tiny.gguf");
};

TEST_F(EngineCache, SaysWhatASessionTakes) {
  testing::write_tiny_llama(model_, {}, testing::add_stream_metadata);
  // 200 slots with K and V of 2 layers with 2 heads of 64 numbers; a block of 32 has an f16 beside its
  // numbers.
  EXPECT_EQ(session_bytes(CachePrecision::kFloat32), 200 * 2 * 2 * 128 * 4);
  EXPECT_EQ(session_bytes(CachePrecision::kFloat16), 200 * 2 * 2 * 128 * 2);
  EXPECT_EQ(session_bytes(CachePrecision::kQ8), 200 * 2 * 2 * 4 * 34);
  EXPECT_EQ(session_bytes(CachePrecision::kQ4), 200 * 2 * 2 * 4 * 18);
  EXPECT_EQ(session_bytes(CachePrecision::kQ4, 5), 200 * 2 * 2 * 4 * 18)
      << "of one, however many there may be";
}

TEST_F(EngineCache, OtherHeadsAreRefusedAtLoad) {
  testing::write_tiny_llama(model_, {.n_heads = 16, .n_kv_heads = 8}, testing::add_stream_metadata);
  EXPECT_THROW(session_bytes(CachePrecision::kQ8), Error);
  EXPECT_GT(session_bytes(CachePrecision::kFloat16), 0);
}

}  // namespace
}  // namespace tandem
