// The one mistake that all corpus scores can be handed: no lines, or files of different lengths.
#pragma once

#include <fmt/format.h>

#include <cstddef>
#include <string_view>

#include "tandem/error.h"

namespace tandem {

/// Throws kInvalidArgument if there is nothing to score, or not one reference for each hypothesis.
inline void check_pairs(std::string_view metric, std::size_t n_hypotheses, std::size_t n_references) {
  if (n_hypotheses != n_references) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("{}: expected one reference per hypothesis, got {} and {}", metric, n_references,
                            n_hypotheses));
  }
  if (n_hypotheses == 0) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("{}: expected at least one hypothesis, got none", metric));
  }
}

}  // namespace tandem
