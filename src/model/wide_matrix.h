// A matrix kept a second time for passes of many rows: bfloat16, in the blocks that oneDNN's products read.
//
// Few rows are bound by reading weights, so quantised blocks are best; many rows are bound by arithmetic, and
// there a bfloat16 product on a CPU that has one (AVX-512 BF16) does several times what kernels do that take
// blocks apart for each group of rows. Such a copy takes two bytes a weight.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>

namespace tandem {

/// Whether this build has oneDNN and this CPU bfloat16 products: else there is nothing to gain.
bool has_wide_products();

class WideMatrix {
 public:
  /// Outputs that lie together.
  static constexpr int kPanel = 64;

  /// Writes row i of a matrix, the weights of one output.
  using ReadRow = std::function<void(int i, std::span<float> row)>;
  /// Needs has_wide_products(), and n_in a multiple of 32. Cost: every weight is read, rounded and stored.
  WideMatrix(int n_in, int n_out, const ReadRow& read_row);

  int n_in() const { return n_in_; }
  int n_out() const { return n_out_; }
  int n_panels() const { return (n_out_ + kPanel - 1) / kPanel; }
  std::size_t n_bytes() const { return panel_bytes_ * static_cast<std::size_t>(n_panels()); }
  /// Outputs kPanel * i and on, those past n_out() zero.
  const std::byte* panel(int i) const { return bytes_.get() + panel_bytes_ * static_cast<std::size_t>(i); }

 private:
  struct Free {
    void operator()(std::byte* bytes) const;
  };

  int n_in_ = 0;
  int n_out_ = 0;
  std::size_t panel_bytes_ = 0;
  std::unique_ptr<std::byte, Free> bytes_;
};

}  // namespace tandem
