// Average Token Delay (Kano et al., arXiv 2211.13173), SimulEval's form for text output.
//
// Source and target are cut into tokens, and target units of equal delay form a chunk together with the
// source that arrived since the chunk before. Target token t is paired with source token t, or an earlier one
// where the target has run longer than the source before its chunk, but never with one that had not arrived.
// The delay of a token is the end of its output minus the end of its source token.
#pragma once

#include <span>

#include "eval/latency.h"

namespace tandem {

/// Delays must not be empty nor go down. With `elapsed` (as many), a token also takes the time by which its
/// elapsed time grew more than its delay; all zeros, as logs of text have it, means no time.
double average_token_delay(std::span<const double> delays, std::span<const double> elapsed,
                           SourceKind source);

}  // namespace tandem
