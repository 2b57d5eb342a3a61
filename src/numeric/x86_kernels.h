// Products in blocks by x86's instruction sets: a file for each, empty where the CPU lacks it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include "numeric/block_kernels.h"

namespace tandem {

/// What a tile is to fetch, a little with each of its steps: the CPU has few requests under way at a time,
/// and waits for one of them to be done when it is asked for more.
class Fetching {
 public:
  Fetching(std::span<const std::byte> memory, int n_steps)
      : next_(memory.data()),
        end_(memory.data() + memory.size()),
        step_(kLine * ((memory.size() / kLine + static_cast<std::size_t>(n_steps)) /
                       static_cast<std::size_t>(n_steps))) {}

  [[gnu::always_inline]] inline void step() {
    const std::byte* end = next_ + std::min(step_, static_cast<std::size_t>(end_ - next_));
    for (; next_ < end; next_ += kLine) __builtin_prefetch(next_);
    next_ = end;
  }

 private:
  static constexpr std::size_t kLine = 64;

  const std::byte* next_;
  const std::byte* end_;
  std::size_t step_;
};

std::vector<BlockKernel> vnni_kernels();
std::vector<BlockKernel> avx2_kernels();

}  // namespace tandem
