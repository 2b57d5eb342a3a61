#include "train/dropout.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Functions.h>

namespace tandem {

at::Generator& dropout_generator() {
  thread_local at::Generator generator = at::detail::createCPUGenerator();
  return generator;
}

void seed_dropout(std::uint64_t seed) {
  dropout_generator().set_current_seed(seed);
}

at::Tensor dropout(const at::Tensor& x, double probability) {
  const double kept = 1.0 - probability;
  return x.mul(at::empty_like(x).bernoulli_(kept, dropout_generator()).div_(kept));
}

}  // namespace tandem
