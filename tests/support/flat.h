// All logits of a pass, row after row: for comparing them at once.
#pragma once

#include <vector>

#include "model/network.h"

namespace tandem::testing {

inline std::vector<float> flat(const Logits& logits) {
  std::vector<float> values;
  for (const auto row : logits.all) values.insert(values.end(), row.begin(), row.end());
  return values;
}

}  // namespace tandem::testing
