// Which examples make up which step. Examples of like length come together, since attention is calculated in
// squares; the order is decided by (seed, epoch) alone, so that a resumed run goes on with the very same
// batches without storing any of it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace tandem {

struct BatchingOptions {
  std::vector<double>
      set_weights;  // per set: how often its examples come per epoch, in expectation; 1 if missing
  int rows_per_batch = 4000;
  std::uint64_t seed = 1;
};

/// One epoch's batches, as indices of examples: rows_of_example[i] rows of set set_of_example[i].
/// Every batch has at least one example, and at most rows_per_batch rows unless a single example has more.
std::vector<std::vector<std::int32_t>> plan_epoch(std::span<const int> rows_of_example,
                                                  std::span<const int> set_of_example,
                                                  const BatchingOptions& options, std::uint64_t epoch);

/// The endless sequence of batches: epoch after epoch.
class BatchStream {
 public:
  /// Throws Error{kInvalidArgument} if nothing would ever be drawn.
  BatchStream(std::vector<int> rows_of_example, std::vector<int> set_of_example, BatchingOptions options);

  const std::vector<std::int32_t>& next();
  void skip(std::int64_t n_batches);
  /// Passes over the data so far, a part of the current one included.
  double epochs() const;

 private:
  void open_next_epoch();

  std::vector<int> rows_, sets_;
  BatchingOptions options_;
  std::uint64_t epoch_ = 0;  // of the plan after this one
  std::size_t next_ = 0;
  std::vector<std::vector<std::int32_t>> plan_;
};

}  // namespace tandem
