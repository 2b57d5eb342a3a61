// A model held against libllama on the same file: with all source visible and the target right behind it
// (k = inf, phi = S), a pass is a plain causal model, and its logits must be libllama's.
//
// The text is cut in two: the first half goes in as source, the second as target, then the target goes on
// along libllama's own greedy choices, so that one different choice does not make the rest incomparable.
// Where the model or its adapter keeps some ids only, logits and choices are those of these ids.
#pragma once

#include <string>

namespace tandem {

struct VerifyOptions {
  int n_tokens = 64;  // of text, and as many again of greedy continuation
  int n_threads = 1;
  std::string adapter;  // a LoRA file that both use; empty: none
};

struct VerifyReport {
  std::string architecture;
  std::string type;  // that most weights have
  int n_rows = 0;    // whose logits were compared
  double max_abs = 0;
  double mean_abs = 0;
  double deviation = 0;     // of libllama's logits: what the differences are small against
  double greedy_equal = 0;  // share of rows whose best token is the same
  int n_ids = 0;            // that have logits: the vocabulary, or those kept
  /// Tandem's tokens of the text are libllama's, word by word too, and their bytes are the text.
  bool tokenizer_round_trip = false;
  /// What mean_abs may be, and greedy_equal must be at least; both depend on the type (docs/families.md).
  double mean_tolerance = 0;
  double least_greedy_equal = 0;

  bool is_within_tolerance() const;
};

/// Throws as Model::load, Yardstick, and Error{kInvalidArgument} for options out of range.
VerifyReport verify_model(const std::string& path, const VerifyOptions& options);

}  // namespace tandem
