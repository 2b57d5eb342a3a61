// RoPE's angles for the rows of a batch: position * frequency, for each pair of dimensions that is turned.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

namespace tandem {

/// scale * base^(-2i / n_dims) for i < n_dims / 2.
std::vector<double> rope_frequencies(std::int64_t n_dims, double base, double scale = 1.0);

struct Rotations {
  at::Tensor cosine, sine;  // [rows, n_dims / 2] f32
};
/// `doubled_positions`: stream's Position, times two. `magnitude`: length of a rotated vector, of what it
/// was. Cost: one cosine and sine per distinct position and pair; rows that share a position share the work.
Rotations rotations_of(std::span<const std::int32_t> doubled_positions,
                       const std::vector<double>& frequencies, double magnitude = 1.0);

}  // namespace tandem
