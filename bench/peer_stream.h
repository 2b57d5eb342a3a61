// What an application can do today to stream with libllama, three ways, and the yardstick of its plain
// generation. All are told how many tokens Tandem wrote after each READ and write as many, so that the work
// is the same whatever they would have said; they pay no look-ahead to find out where a word ends.
#pragma once

#include <span>
#include <vector>

#include "bench/contest.h"
#include "bench/peer.h"
#include "bench/stream_setup.h"
#include "bench/tandem_stream.h"

namespace tandem::bench {

/// A line as libllama reads it.
struct PeerLine {
  std::vector<std::vector<llama_token>> words;
  std::vector<Step> steps;  // each writes at least one token; the last has read all words
};

struct PeerPrompt {
  std::vector<llama_token> source_prefix;
  std::vector<llama_token> source_suffix;
  std::vector<llama_token> target_prefix;
};

enum class Reuse { kNothing, kCommonPrefix };

class PeerStream {
 public:
  PeerStream(const StreamSetup& setup, int n_threads, int n_slots);

  /// Tokenises the lines; `steps` are those of each.
  std::vector<PeerLine> lines_of(std::span<const Words> lines,
                                 std::span<const std::vector<Step>> steps) const;

  /// At each READ the prompt is made anew: source so far, then target so far. Evaluated as a whole, or from
  /// the first token on that differs from the prompt before it: that is the first new word, as the target
  /// stands behind it.
  Sample reencode(std::span<const PeerLine> lines, Reuse reuse);
  /// Source and target words in the order of their arrival, as one sequence; nothing is evaluated twice.
  /// A READ's words go in one batch with the target token before them.
  Sample interleave(std::span<const PeerLine> lines);
  /// The whole source, then token by token; the time is that of the tokens alone.
  Sample generate(std::span<const PeerLine> lines);

 private:
  llama_token write(int n_tokens, llama_token first, Sample& sample, std::vector<llama_token>* written);
  llama_token decode(std::vector<llama_token>& tokens, Sample& sample);
  std::vector<llama_token> source_of(const PeerLine& line, int begin, int end) const;

  const StreamSetup& setup_;
  PeerPrompt prompt_;
  Peer peer_;
};

}  // namespace tandem::bench
