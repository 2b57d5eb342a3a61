#include "model/wide_matrix.h"

#include <algorithm>

namespace tandem {

WideMatrix::WideMatrix(int n_in, int n_out, WeightForm form, const ReadRow& read_row,
                       const ShareOut& share_out)
    : n_in_(n_in),
      n_out_(n_out),
      form_(form),
      blocks_(first_block(n_panels())),
      second_scales_(n_second_scales(form) * first_block(n_panels())) {
  share_out(n_panels(), [&](int i) { fill_panel(i, read_row); });
}

void WideMatrix::fill_panel(int i, const ReadRow& read_row) {
  const auto width = static_cast<std::size_t>(n_in_);
  std::vector<float> rows(width * kPanelOutputs);  // those past the last output stay 0
  for (int row = 0; row < std::min(kPanelOutputs, n_out_ - kPanelOutputs * i); ++row)
    read_row(kPanelOutputs * i + row, std::span(rows).subspan(width * static_cast<std::size_t>(row), width));
  round_panel(rows.data(), form_,
              {.blocks = blocks_.data() + first_block(i),
               .second_scales = second_scales_.data() + n_second_scales(form_) * first_block(i)},
              n_in_);
}

}  // namespace tandem
