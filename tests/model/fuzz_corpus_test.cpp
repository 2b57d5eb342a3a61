// Replays the committed fuzz inputs through the fuzz target itself: what a fuzzer once found stays fixed.
#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>

#include "model/family.h"
#include "model/gguf_file.h"
#include "model/lora_file.h"
#include "model/stream_metadata.h"
#include "model/tiny_llama.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace tandem {
namespace {

const std::string kCorpus = TANDEM_SOURCE_DIR "/fuzz/corpus/gguf";

TEST(FuzzGguf, CorpusPasses) {
  int n_inputs = 0;
  for (const auto& entry : std::filesystem::directory_iterator(kCorpus)) {
    SCOPED_TRACE(entry.path());
    const std::string input = testing::read_bytes(entry.path().string());
    EXPECT_EQ(LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(input.data()), input.size()), 0);
    ++n_inputs;
  }
  EXPECT_GE(n_inputs, 10);
}

TEST(FuzzGguf, CorpusHasASoundModelForTheFuzzerToStartFrom) {
  const auto file = GgufFile::open(kCorpus + "/sound");
  const ModelConfig config = read_config(*file);
  EXPECT_TRUE(read_stream_metadata(*file, config.n_vocab));
}

TEST(FuzzGguf, CorpusHasASoundAdapterToo) {
  const auto file = GgufFile::open(kCorpus + "/adapter");
  ASSERT_TRUE(is_adapter(*file));
  EXPECT_EQ(read_lora(*file).pairs.size(), 2U);
}

}  // namespace
}  // namespace tandem
