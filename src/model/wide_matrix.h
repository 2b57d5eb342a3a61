// A matrix kept a second time for passes: in blocks of integers, as wide as the CPU's products.
//
// The file's own blocks are the least to read, which is what bounds one row. From two rows on arithmetic
// does, and there blocks that all have one form, inputs of many outputs side by side, take a fraction of the
// time that kernels take which unpack blocks again for each row or few. Such a copy takes nine bits a weight,
// whether its integers have six or eight.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <vector>

#include "numeric/block_products.h"

namespace tandem {

class WideMatrix {
 public:
  /// Writes row i of a matrix, the weights of one output. Called from several threads at a time.
  using ReadRow = std::function<void(int i, std::span<float> row)>;
  /// Calls work(0) to work(n - 1), each once, on whatever threads there are (Network::share_out).
  using ShareOut = std::function<void(int n, const std::function<void(int)>& work)>;
  /// n_in is a multiple of kBlockInputs. Weights of q8_0 stay what they are in eight bits, those of
  /// q4_0 and q5_0 in six or eight, others are rounded.
  /// Cost: every weight is read, rounded and stored.
  WideMatrix(int n_in, int n_out, WeightBits bits, const ReadRow& read_row, const ShareOut& share_out);

  /// What one of that size takes.
  static std::size_t bytes_of(int n_in, int n_out) {
    return sizeof(WeightBlock) * static_cast<std::size_t>(n_in / kBlockInputs) *
           static_cast<std::size_t>((n_out + kPanelOutputs - 1) / kPanelOutputs);
  }

  WeightBits bits() const { return bits_; }
  int n_in() const { return n_in_; }
  int n_out() const { return n_out_; }
  int n_blocks() const { return n_in_ / kBlockInputs; }  // of each output
  int n_panels() const { return (n_out_ + kPanelOutputs - 1) / kPanelOutputs; }
  /// Outputs kPanelOutputs * i and on, those past n_out() zero: n_blocks().
  const WeightBlock* panel(int i) const {
    return blocks_.data() + static_cast<std::size_t>(i) * static_cast<std::size_t>(n_blocks());
  }

 private:
  void fill_panel(int i, const ReadRow& read_row);

  int n_in_;
  int n_out_;
  WeightBits bits_;
  std::vector<WeightBlock> blocks_;
};

}  // namespace tandem
