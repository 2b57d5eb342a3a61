// `--device`: the CPU by its name, and one that is not there.
#include <gmock/gmock.h>

#include "cli/program.h"

namespace tandem::testing {
namespace {

using ::testing::HasSubstr;

constexpr const char* kCommand =
    "translate --threads 1 --to de --k 3 --model " TANDEM_SOURCE_DIR "/models/default.gguf --device ";

TEST(DeviceOption, TheCpuIsOne) {
  const Outcome outcome = run_tandem(std::string(kCommand) + "CPU", "A man is riding a bicycle.\n");
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("Mann"));
}

TEST(DeviceOption, AnotherIsRefusedWithThoseThatThereAre) {
  const Outcome outcome = run_tandem(std::string(kCommand) + "Abacus0", "A man.\n");
  EXPECT_EQ(outcome.status, 1);
  EXPECT_EQ(lines_of(outcome.err).size(), 1u) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("'CPU'"));
  EXPECT_THAT(outcome.err, HasSubstr("got 'Abacus0'"));
}

}  // namespace
}  // namespace tandem::testing
