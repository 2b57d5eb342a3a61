// The text that benchmarks read when none is given.
#pragma once

#include <span>
#include <string_view>

namespace tandem {

/// English sentences of 5 to 35 words, a short one, two of middle length and a long one in turn, so that any
/// four in a row are about as long as any other four.
std::span<const std::string_view> bench_text();

}  // namespace tandem
