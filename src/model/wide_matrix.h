// A matrix kept a second time for passes of many rows: bfloat16, in the blocks that oneDNN's products read.
//
// Few rows are bound by reading weights, so quantised blocks are best; many rows are bound by arithmetic, and
// there a bfloat16 product on a CPU that has one (AVX-512 BF16) does several times what kernels do that take
// blocks apart for each group of rows. Such a copy takes two bytes a weight.
#pragma once

#include <cstddef>
#include <memory>

namespace tandem {

struct StoredTensor;

/// Whether this build has oneDNN and this CPU bfloat16 products: else there is nothing to gain.
bool has_wide_products();

class WideMatrix {
 public:
  /// Outputs that are multiplied together: one call of the library makes so many for some rows.
  static constexpr int kPanel = 64;

  /// Whether a copy of the matrix is worth having: of blocks or bfloat16, which products round inputs for
  /// anyway. What the file has in f32 or f16 stays exact.
  static bool suits(const StoredTensor& stored);

  /// Needs has_wide_products() and suits(stored). Cost: every weight is unpacked, rounded and stored.
  explicit WideMatrix(const StoredTensor& stored);

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
