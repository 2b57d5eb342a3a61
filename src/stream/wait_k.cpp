#include "stream/wait_k.h"

#include <algorithm>

#include "tandem/error.h"

namespace tandem {

WaitK::WaitK(int k) : k_(k) {
  if (k < 1)
    throw Error(ErrorCode::kInvalidArgument, "wait-k: expected k >= 1 or inf, got " + std::to_string(k));
}

int WaitK::units_for_word(int word, int n_units) const {
  if (is_unlimited() || k_ > n_units - word) return n_units;  // written so that k + word cannot overflow
  return k_ + word;
}

SourceUnits SourceUnits::whole(int n_prefix_rows, std::span<const int> word_rows, int n_suffix_rows,
                               EndMarker end_marker) {
  SourceUnits units(n_prefix_rows);
  for (int n_rows : word_rows) units.add_word(n_rows);
  units.add_suffix(n_suffix_rows, end_marker);
  return units;
}

void SourceUnits::add_word(int n_rows) {
  unit_ends_.push_back(this->n_rows() + n_rows);
  ++n_words_;
}

void SourceUnits::add_suffix(int n_rows, EndMarker end_marker) {
  if (end_marker == EndMarker::kOwnUnit) {
    unit_ends_.push_back(this->n_rows() + n_rows);
  } else if (unit_ends_.empty()) {
    n_prefix_rows_ += n_rows;
  } else {
    unit_ends_.back() += n_rows;
  }
}

int SourceUnits::rows_after(int n_units) const {
  TANDEM_CHECK(n_units >= 0 && n_units <= this->n_units());
  return n_units == 0 ? n_prefix_rows_ : unit_ends_[static_cast<std::size_t>(n_units) - 1];
}

int SourceUnits::words_after(int n_units) const {
  return std::min(n_units, n_words_);
}

}  // namespace tandem
