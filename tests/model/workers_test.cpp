// Work shared out over the threads that compute: all of it once, whatever is thrown on the way.
#include "model/workers.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <vector>

#include "model/backend.h"

namespace tandem {
namespace {

class SharedWork : public ::testing::TestWithParam<int> {
 protected:
  Backend backend_{find_device("CPU"), GetParam()};
  Workers workers_{backend_};
};

TEST_P(SharedWork, EachIsDoneOnce) {
  for (const int n : {0, 1, 2, 7, 500}) {
    std::vector<int> done(static_cast<std::size_t>(n), 0);
    workers_.share_out(n, [&](int i) { ++done[static_cast<std::size_t>(i)]; });
    EXPECT_EQ(done, std::vector<int>(static_cast<std::size_t>(n), 1));
  }
}

TEST_P(SharedWork, WhatIsThrownComesWhenTheRestIsDone) {
  for (const int n : {1, 20}) {
    std::atomic<int> n_done = 0;
    const auto fail_first = [&](int i) {
      ++n_done;
      if (i == 0) throw std::runtime_error("the first");
    };
    EXPECT_THROW(workers_.share_out(n, fail_first), std::runtime_error);
    EXPECT_EQ(n_done, n);
    EXPECT_NO_THROW(workers_.share_out(n, [](int) {})) << "that is over";
  }
}

INSTANTIATE_TEST_SUITE_P(Threads, SharedWork, ::testing::Values(1, 2, 5));

}  // namespace
}  // namespace tandem
