// Dropout whose draws belong to the thread that makes them: threads that work on shares of a step side by
// side draw each from a generator of its own, so that a run is decided by its seeds however they interleave.
#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include <cstdint>

namespace tandem {

/// The calling thread's.
at::Generator& dropout_generator();

/// What the calling thread draws from here on.
void seed_dropout(std::uint64_t seed);

/// Each element is 0 with chance `probability`, else divided by 1 - probability. In [0, 1).
at::Tensor dropout(const at::Tensor& x, double probability);

}  // namespace tandem
