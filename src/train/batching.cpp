#include "train/batching.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "tandem/error.h"
#include "train/random.h"

namespace tandem {
namespace {

// Sorted by length are pools of this many batches, not the whole epoch: otherwise the batches of an epoch
// would be the same groups of neighbours in length, and of a long run of one set.
constexpr std::size_t kBatchesPerPool = 64;

double weight_of(const BatchingOptions& options, int set) {
  const auto index = static_cast<std::size_t>(set);
  return index < options.set_weights.size() ? options.set_weights[index] : 1.0;
}

/// Each example floor(w) times, and once more with probability w - floor(w), in random order.
std::vector<std::int32_t> draw_examples(std::span<const int> sets, const BatchingOptions& options,
                                        Random& random) {
  std::vector<std::int32_t> drawn;
  for (std::size_t i = 0; i < sets.size(); ++i) {
    const double weight = weight_of(options, sets[i]);
    const int copies = static_cast<int>(weight) + (random.uniform() < weight - std::floor(weight) ? 1 : 0);
    drawn.insert(drawn.end(), static_cast<std::size_t>(copies), static_cast<std::int32_t>(i));
  }
  random.shuffle(drawn);
  return drawn;
}

}  // namespace

std::vector<std::vector<std::int32_t>> plan_epoch(std::span<const int> rows_of_example,
                                                  std::span<const int> set_of_example,
                                                  const BatchingOptions& options, std::uint64_t epoch) {
  Random random{options.seed, 0x6261746368U, epoch};
  std::vector<std::int32_t> drawn = draw_examples(set_of_example, options, random);
  const auto rows_of = [&](std::int32_t i) { return rows_of_example[static_cast<std::size_t>(i)]; };

  std::vector<std::vector<std::int32_t>> batches;
  const std::int64_t pool_rows = static_cast<std::int64_t>(kBatchesPerPool) * options.rows_per_batch;
  for (auto begin = drawn.begin(); begin != drawn.end();) {
    auto end = begin;
    for (std::int64_t rows = 0; end != drawn.end() && rows < pool_rows; ++end) rows += rows_of(*end);
    std::stable_sort(begin, end, [&](std::int32_t a, std::int32_t b) { return rows_of(a) < rows_of(b); });
    int rows = options.rows_per_batch + 1;  // the pool's first example opens a batch
    for (; begin != end; ++begin) {
      if (rows + rows_of(*begin) > options.rows_per_batch) {
        batches.emplace_back();
        rows = 0;
      }
      batches.back().push_back(*begin);
      rows += rows_of(*begin);
    }
  }
  random.shuffle(batches);
  return batches;
}

BatchStream::BatchStream(std::vector<int> rows_of_example, std::vector<int> set_of_example,
                         BatchingOptions options)
    : rows_(std::move(rows_of_example)), sets_(std::move(set_of_example)), options_(std::move(options)) {
  const bool any =
      std::any_of(sets_.begin(), sets_.end(), [&](int set) { return weight_of(options_, set) > 0.0; });
  if (!any) {
    throw Error(ErrorCode::kInvalidArgument,
                "training data: expected at least one example of a set whose weight is "
                "above 0, got none of " +
                    std::to_string(sets_.size()));
  }
  open_next_epoch();
}

void BatchStream::open_next_epoch() {
  do {
    plan_ = plan_epoch(rows_, sets_, options_, epoch_++);
  } while (plan_.empty());
  next_ = 0;
}

const std::vector<std::int32_t>& BatchStream::next() {
  if (next_ == plan_.size()) open_next_epoch();
  return plan_[next_++];
}

void BatchStream::skip(std::int64_t n_batches) {
  while (n_batches > 0) {
    if (next_ == plan_.size()) open_next_epoch();
    const auto left = static_cast<std::int64_t>(plan_.size() - next_);
    const std::int64_t n = std::min(left, n_batches);
    next_ += static_cast<std::size_t>(n);
    n_batches -= n;
  }
}

double BatchStream::epochs() const {
  return static_cast<double>(epoch_ - 1) + static_cast<double>(next_) / static_cast<double>(plan_.size());
}

}  // namespace tandem
