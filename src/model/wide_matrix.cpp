#include "model/wide_matrix.h"

#include <algorithm>

namespace tandem {

WideMatrix::WideMatrix(int n_in, int n_out, const ReadRow& read_row)
    : n_in_(n_in),
      n_out_(n_out),
      blocks_(static_cast<std::size_t>(n_blocks()) * static_cast<std::size_t>(n_panels())) {
  const auto width = static_cast<std::size_t>(n_in);
  std::vector<float> rows(width * kPanelOutputs);
  for (int i = 0; i < n_panels(); ++i) {
    std::fill(rows.begin(), rows.end(), 0.0F);
    for (int row = 0; row < std::min(kPanelOutputs, n_out - kPanelOutputs * i); ++row)
      read_row(kPanelOutputs * i + row,
               std::span(rows).subspan(width * static_cast<std::size_t>(row), width));
    round_panel(rows.data(),
                blocks_.data() + static_cast<std::size_t>(i) * static_cast<std::size_t>(n_blocks()), n_in);
  }
}

}  // namespace tandem
