// Latency of simultaneous translation, by SimulEval's definitions (1.1.4).
//
// With D_i the delay of target unit i (from 0), n of them, X the length of the source in the same measure
// (words, or milliseconds) and Y the number of units of the reference:
//
//   AL    1/tau sum_{i<tau} (D_i - i X/Y), tau = number of units up to the first with D_i >= X  (Ma et al.,
//   2019);
//         D_0 alone, if that is past the source already
//   LAAL  the same with max(n, Y) for Y, so that writing too much earns nothing                 (Papi et al.,
//   2022) AP    sum D_i / (X Y)                                                                     (Cho and
//   Esipova, 2016) DAL   1/n sum (D'_i - i X/n), D'_0 = D_0, D'_i = max(D_i, D'_{i-1} + X/n) (Cherry and
//   Foster, 2019) ATD   mean distance from the end of a target token to the end of the source token that it
//   is paired with
//                                                                                            (Kano et al.,
//                                                                                            2023)
//
// Computation-aware values are the same formulas on the elapsed times in place of the delays, but for ATD,
// which takes the difference of both.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace tandem {

/// What the source is made of, for ATD: words of length 1 (and target words of length 1), or audio cut into
/// tokens of 300 ms (and target words of length 0). SimulEval takes every log for audio.
enum class SourceKind { kText, kSpeech };

struct LatencyInput {
  std::span<const double> delays = {};   // one per target unit, never going down
  std::span<const double> elapsed = {};  // as many, or none; only computation-aware values read them
  double source_length = 0;              // X, in the measure of the delays
  /// Y. None: the number of delays stands in, as with SimulEval's --no-use-ref-len.
  std::optional<std::int64_t> reference_length = std::nullopt;
  SourceKind source = SourceKind::kText;
};

struct Latency {
  double al = 0;
  double laal = 0;
  double ap = 0;
  double dal = 0;
  double atd = 0;
  double start_offset = 0;  // D_0
  double end_offset = 0;    // D_{n-1} - X
  double num_chunks = 0;    // n: SimulEval counts units, not chunks; a mean over a corpus need not be whole
  double rtf = 0;           // D_{n-1} / X
};

/// Latency of one instance; none if it has no delays, or if source or reference have no length to measure by.
/// Throws kInvalidArgument if a number is negative or not finite, or if delays go down.
std::optional<Latency> latency_of(const LatencyInput& input);

/// The same on elapsed times. Throws kInvalidArgument if there are not as many as delays.
std::optional<Latency> computation_aware_latency_of(const LatencyInput& input);

/// Mean over the instances that have a value; none if none has.
std::optional<Latency> mean_latency(std::span<const std::optional<Latency>> instances);

enum class LatencyUnit { kWord, kChar };

/// Y as SimulEval counts it. Words: spaces + 1, so that an empty reference counts one and a double space one
/// more. Characters: code points between the white space at the ends, spaces included.
std::int64_t reference_length(std::string_view reference, LatencyUnit unit);

}  // namespace tandem
