// A file of its own, so that no compiler sees new and free() side by side and takes them for a mistake.
#include "support/counted_new.h"

#include <atomic>
#include <cstdlib>
#include <new>

namespace {

std::atomic<long> n_calls = 0;

}  // namespace

long tandem::testing::n_allocations() {
  return n_calls;
}

void* operator new(std::size_t size) {
  ++n_calls;
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}
