// What a low-rank adapter adds to one matrix, spelt out: rows of scale * B A, for those who fold it in
// instead of multiplying twice.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace tandem {

struct LoraPair;

class LowRank {
 public:
  /// Unpacks both halves: rank * (n_in + n_out) numbers.
  explicit LowRank(const LoraPair& pair);

  /// Adds to rows of the matrix, [n * n_in], that begin with row `first_row` of it. Needs first_row + n <=
  /// n_out.
  void add_to(int first_row, std::span<float> rows) const;

 private:
  std::size_t n_in_;
  std::size_t rank_;
  std::vector<float> a_;  // [rank * n_in]
  std::vector<float> b_;  // [n_out * rank], times scale
};

}  // namespace tandem
