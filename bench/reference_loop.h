// The decoding loop of the paper's code (EIT-NLP/StreamingLLM, generation/generate.py), written down plainly
// over Tandem's own network: the same weights, kernels, cache and positions as the engine's, and none of its
// passes' tricks. What it costs beside the engine is what the engine's planning of passes is worth.
//
//   READ    the unit's rows, in a pass of their own
//   WRITE   a pass per token, until one begins the next word: the look-ahead. It is thrown away, and the row
//           that asked for it is taken back
//   READ    the next unit, if there is one left
//   WRITE   that row again, which now sees it: the next word's first token
//
// So a word of n tokens takes n passes, a look-ahead, and a READ. Two rules are Tandem's, so that both write
// the same text: a word's end is decided as the engine does (total probability, sampler.h), and an end while
// source is unread READs on. The reference takes the best token for both, and the sentence's end as final;
// it also ends a word at punctuation without a look-ahead, which it takes back by one more READ. None of
// this changes the number of passes per word.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "bench/stream_setup.h"
#include "engine/repetition.h"
#include "engine/sampler.h"
#include "stream/timeline.h"
#include "text/detokenizer.h"

namespace tandem::bench {

struct ReferenceOptions {
  int k = 3;
  int n_slots = 1024;
  int no_repeat_ngram = 0;
  int target_rows_base = 48;  // a target's most tokens, as in SessionOptions
  int target_rows_per_source_row = 3;
};

class ReferenceLoop {
 public:
  /// Setup and network must outlive the loop, which takes a span of `n_slots` for itself.
  ReferenceLoop(const StreamSetup& setup, Network& network, const ReferenceOptions& options);
  ReferenceLoop(const ReferenceLoop&) = delete;
  ReferenceLoop& operator=(const ReferenceLoop&) = delete;
  ~ReferenceLoop();

  /// One sentence, given each word's tokens. Throws Error when the cache is full.
  std::string translate(std::span<const std::vector<TokenId>> words);

  /// Since the beginning: passes over the weights, their rows, and target tokens with ends.
  std::int64_t n_passes() const { return n_passes_; }
  std::int64_t n_rows() const { return n_rows_; }
  std::int64_t n_tokens() const { return n_tokens_; }

 private:
  void begin(std::span<const std::vector<TokenId>> words);
  int units_for(int word) const;
  int visible() const { return units_.rows_after(units_read_); }
  bool is_all_read() const { return units_read_ == units_.n_units(); }

  void read_to(int n_units);
  std::optional<TokenId> write(std::span<const TokenId> tokens, Choice choice);
  std::optional<TokenId> write_after(TokenId last);
  void accept(TokenId token);

  std::span<const float> feed(std::span<const TokenId> tokens);
  void take_back(std::size_t n_rows);
  Logits evaluate();
  TokenId best(std::span<const float> logits, Choice choice) const;
  bool is_over(TokenId token) const;

  const StreamSetup& setup_;
  ReferenceOptions options_;
  WaitK wait_k_;
  Sampler sampler_;
  Network& network_;
  Timeline timeline_;
  SessionRows session_;

  // Of the sentence.
  std::vector<TokenId> source_;
  SourceUnits units_;
  int units_read_ = 0;
  WordTracker words_;
  RepetitionBlock repetition_;
  Detokenizer detokenizer_;
  std::string text_;
  int n_target_tokens_ = 0;

  std::int64_t n_passes_ = 0;
  std::int64_t n_rows_ = 0;
  std::int64_t n_tokens_ = 0;
};

}  // namespace tandem::bench
