// Replays the committed fuzz inputs through the fuzz target itself: what a fuzzer once found stays fixed.
#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace tandem {
namespace {

TEST(FuzzText, CorpusPasses) {
  int n_inputs = 0;
  for (const auto& entry : std::filesystem::directory_iterator(TANDEM_SOURCE_DIR "/fuzz/corpus/text")) {
    SCOPED_TRACE(entry.path());
    std::ifstream in(entry.path(), std::ios::binary);
    const std::string input{std::istreambuf_iterator<char>(in), {}};
    EXPECT_EQ(LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(input.data()), input.size()), 0);
    ++n_inputs;
  }
  EXPECT_GE(n_inputs, 10);
}

}  // namespace
}  // namespace tandem
