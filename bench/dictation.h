// A network that is told what to write: it computes every pass as the real one does, then puts the dictated
// token's logit on top of each row that asked for logits. So a model can be timed on targets that it would
// never write, such as those of sources longer than it was trained on, and contestants write the same text.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "bench/stream_setup.h"
#include "model/network.h"

namespace tandem::bench {

/// Each line's tokens; those that the head does not keep are spelt with those that it does. Throws Error for
/// words that cannot be.
std::vector<std::vector<TokenId>> tokenize_targets(const StreamSetup& setup, std::span<const Words> lines);

class DictatingNetwork final : public Network {
 public:
  /// Both must outlive it. Nothing is dictated at first.
  DictatingNetwork(Network& network, const StreamSetup& setup);

  /// The target of the sentence that begins, which must outlive it; its end follows by itself.
  void dictate(std::span<const TokenId> target);
  /// The model speaks for itself again.
  void stop() { is_dictating_ = false; }

  int max_rows_per_pass() const override { return network_.max_rows_per_pass(); }
  [[nodiscard]] CacheSpan reserve(int n_slots) override { return network_.reserve(n_slots); }
  void release(CacheSpan span) override { network_.release(span); }
  Logits evaluate(std::span<const SessionRows> pass) override;
  void share_out(int n, const std::function<void(int)>& work) override { network_.share_out(n, work); }

 private:
  std::size_t place_in_head(TokenId id) const;
  TokenId token_after(const RowPlace& row) const;

  Network& network_;
  const StreamSetup& setup_;
  bool is_dictating_ = false;
  std::span<const TokenId> target_;
  std::vector<std::vector<float>> values_;  // of each row, kept for their memory
  std::vector<std::span<const float>> rows_;
};

}  // namespace tandem::bench
