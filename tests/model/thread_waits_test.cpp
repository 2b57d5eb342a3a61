// Whether other programs want the cores, and what is done about it.
#include "model/thread_waits.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <thread>
#include <vector>

namespace tandem {
namespace {

using std::chrono::milliseconds;

TEST(CrowdMeter, SaysSoAtOnceAndTakesItsTimeToBelieveInQuiet) {
  CrowdMeter meter;
  EXPECT_FALSE(meter.is_crowded());
  meter.note(0.05, 0.005);
  EXPECT_FALSE(meter.is_crowded()) << "a thread waits now and then";
  meter.note(0.05, 0.045);
  EXPECT_TRUE(meter.is_crowded());
  for (int i = 0; i < 30; ++i) meter.note(0.05, 0);
  EXPECT_TRUE(meter.is_crowded());
  meter.note(0.05, 0.045);
  for (int i = 0; i < 30; ++i) meter.note(0.05, 0);
  EXPECT_TRUE(meter.is_crowded()) << "it counts from the last time";
  for (int i = 0; i < 30; ++i) meter.note(0.05, 0);
  EXPECT_FALSE(meter.is_crowded());
}

TEST(WaitedForCores, GrowsWhereThereAreMoreThreadsThanCores) {
  WaitedForCores waited;
  const auto before = waited.seconds();
  if (!before) GTEST_SKIP() << "this system does not say";
  std::atomic<bool> is_over = false;
  std::vector<std::jthread> threads;
  for (unsigned i = 0; i < 2 * std::thread::hardware_concurrency() + 2; ++i) {
    threads.emplace_back([&] {
      while (!is_over) {
      }
    });
  }
  std::this_thread::sleep_for(milliseconds(200));
  const auto after = waited.seconds();
  is_over = true;
  ASSERT_TRUE(after);
  EXPECT_GT(*after - *before, 0.2) << "half of the threads at a time";
}

std::ptrdiff_t n_threads() {
  return std::distance(std::filesystem::directory_iterator("/proc/self/task"), {});
}

TEST(ShortWaits, HaveMoreThreadsThanCoresAsLongAsTheyLast) {
  if (!std::filesystem::exists("/proc/self/task")) GTEST_SKIP() << "this system does not show threads";
  const std::ptrdiff_t before = n_threads();
  {
    const ShortWaits waits;
    // Its own and OpenMP's; a ggml without OpenMP would keep none.
    EXPECT_GE(n_threads(), before + 1 + std::ptrdiff_t{std::thread::hardware_concurrency()});
  }
  for (int i = 0; i < 500 && n_threads() > before; ++i) std::this_thread::sleep_for(milliseconds(10));
  EXPECT_EQ(n_threads(), before);
}

}  // namespace
}  // namespace tandem
