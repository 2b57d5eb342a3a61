// A batch divided among threads: each takes a share of the examples through the whole forward and backward
// pass.
//
// Threads that work on each operation together have to meet after every one, some hundreds of times a step,
// and a core that other programs hold up holds up all; with shares they meet once.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "train/example.h"
#include "train/trainable_decoder.h"

namespace tandem {

using Examples = std::span<const Example* const>;

/// Consecutive examples in at most n_shares parts of about equally many rows, none of them empty.
/// rows[i] belongs to examples[i].
std::vector<Examples> divide(Examples examples, std::span<const int> rows, std::size_t n_shares);

/// Of a batch: as many as there are threads, or fewer where the gradients that each share keeps would take
/// more than 4 GiB, or where a share would have so few rows (128) that its products are slow.
std::size_t count_shares(int threads, std::int64_t n_parameters, std::int64_t n_rows);

struct LossOptions {
  double label_smoothing = 0.0;
  double divisor = 1.0;    // labels of the step
  std::uint64_t seed = 0;  // of dropout
  int threads = 1;
};

/// Adds the gradients of all shares to the decoder's, in their order, each share in threads / shares threads.
/// Returns the sum of the losses without smoothing, in nats. Throws what a share throws.
/// Extra memory with more than one share: one set of gradients each.
double add_gradients(TrainableDecoder& decoder, std::span<const Batch> shares, const LossOptions& options);

}  // namespace tandem
