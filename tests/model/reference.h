// Comparisons of logits, in which NaN fails.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "model/yardstick.h"

namespace tandem::testing {

std::vector<TokenId> to_tokens(std::span<const int> ids);

/// libllama's logits of every token of a text, [n_tokens * n_vocab].
std::vector<float> libllama_logits(const std::string& path, std::span<const int> tokens);

/// Fails, also for NaN, where any value is further than `tolerance` from its counterpart.
void expect_close(std::span<const float> got, std::span<const float> expected, float tolerance,
                  const std::string& what);

/// Largest distance, or NaN if any value is NaN.
float distance(std::span<const float> a, std::span<const float> b);

/// Mean distance, NaN likewise.
float mean_distance(std::span<const float> a, std::span<const float> b);

}  // namespace tandem::testing
