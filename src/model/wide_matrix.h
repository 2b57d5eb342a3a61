// A matrix kept a second time for passes: in blocks of integers, as wide as the CPU's products.
//
// The file's own blocks are the least to read, which is what bounds one row. From two rows on arithmetic
// does, and there blocks that all have one form, inputs of many outputs side by side, take a fraction of the
// time that kernels take which unpack blocks again for each row or few. Such a copy takes nine bits a weight,
// whether its integers have six or eight, and ten where each half of a block has a scale.
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
  /// q4_0 and q5_0 in six or eight, those of q6_K in six by halves, others are rounded.
  /// Cost: every weight is read, rounded and stored.
  WideMatrix(int n_in, int n_out, WeightForm form, const ReadRow& read_row, const ShareOut& share_out);

  /// What one of that size takes.
  static std::size_t bytes_of(int n_in, int n_out, WeightForm form) {
    const std::size_t of_block = sizeof(WeightBlock) + n_second_scales(form) * sizeof(float);
    return of_block * static_cast<std::size_t>(n_in / kBlockInputs) *
           static_cast<std::size_t>((n_out + kPanelOutputs - 1) / kPanelOutputs);
  }

  WeightForm form() const { return form_; }
  int n_in() const { return n_in_; }
  int n_out() const { return n_out_; }
  int n_blocks() const { return n_in_ / kBlockInputs; }  // of each output
  int n_panels() const { return (n_out_ + kPanelOutputs - 1) / kPanelOutputs; }
  /// Outputs kPanelOutputs * i and on, those past n_out() zero: n_blocks().
  WeightPanel panel(int i) const {
    const std::size_t first = first_block(i);
    return {.blocks = blocks_.data() + first,
            .second_scales = second_scales_.data() + n_second_scales(form_) * first};
  }

 private:
  /// In a block.
  static std::size_t n_second_scales(WeightForm form) {
    return form == WeightForm::kSixHalves ? kPanelOutputs : 0;
  }
  std::size_t first_block(int panel) const {
    return static_cast<std::size_t>(panel) * static_cast<std::size_t>(n_blocks());
  }
  void fill_panel(int i, const ReadRow& read_row);

  int n_in_;
  int n_out_;
  WeightForm form_;
  std::vector<WeightBlock> blocks_;
  std::vector<float> second_scales_;
};

}  // namespace tandem
