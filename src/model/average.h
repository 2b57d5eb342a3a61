// The mean of several LoRA adapters, weight by weight: what different ends of one training have in common is
// often better than any of them (Wortsman et al. 2022, "Model soups"), and lies between them in what it does.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "model/gguf_rewrite.h"

namespace tandem {

struct AverageTask {
  std::vector<std::string> adapters;     // two or more, which have grown from one start
  std::vector<double> weights;           // one for each, of whatever sum; empty: all the same
  std::string output;                    // appears whole or not at all
  std::string type;                      // of all matrices; empty: each one's own in the first
  std::function<void(double)> progress;  // from 0 to 1
};

/// Factors are averaged, not their products: for adapters that are near each other this is nearly the mean of
/// the changes, at the same rank. Keys are the first adapter's. Throws as read_lora, Error{kInvalidArgument}
/// for adapters that do not match in base, alpha, tensors and shapes, or weights that are not positive
/// numbers, one for each; Error{kIo}.
RewriteResult average_adapters(const AverageTask& task);

}  // namespace tandem
