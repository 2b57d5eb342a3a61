#include "model/low_rank.h"

#include "model/lora_file.h"
#include "model/weights.h"
#include "numeric/row_loops.h"

namespace tandem {

namespace {

std::vector<float> read_all(const StoredTensor& tensor) {
  const RowTable table(tensor);
  const auto width = static_cast<std::size_t>(table.width());
  std::vector<float> values(width * static_cast<std::size_t>(table.n_rows()));
  for (int i = 0; i < table.n_rows(); ++i)
    table.read(i, std::span(values).subspan(static_cast<std::size_t>(i) * width, width));
  return values;
}

}  // namespace

LowRank::LowRank(const LoraPair& pair)
    : n_in_(static_cast<std::size_t>(pair.a->shape[0])),
      rank_(static_cast<std::size_t>(pair.rank())),
      a_(read_all(*pair.a)),
      b_(read_all(*pair.b)) {
  for (float& value : b_) value *= pair.scale;
}

void LowRank::add_to(int first_row, std::span<float> rows) const {
  const float* b = b_.data() + static_cast<std::size_t>(first_row) * rank_;
  for (std::size_t begin = 0; begin < rows.size(); begin += n_in_, b += rank_) {
    add_weighted(a_.data(), b, static_cast<std::int64_t>(rank_), rows.data() + begin,
                 static_cast<std::int64_t>(n_in_));
  }
}

}  // namespace tandem
