// When to READ and when to WRITE. A policy is a pure function of what has been read and written: it sees no
// tokens, no logits and no clock, so it can be replayed and tested by itself. The session asks it before each
// target word.
#pragma once

#include "stream/wait_k.h"

namespace tandem {

enum class Action { kRead, kWrite };

/// What a policy may know.
struct PolicyView {
  int word = 0;  // the target word that would be written next; the end counts as a word
  int units_read = 0;
  bool source_has_ended = false;  // true once the last unit has been read: nothing is left to READ
};

class Policy {
 public:
  virtual ~Policy() = default;
  /// kWrite whenever the source has ended.
  Action decide(const PolicyView& view) const {
    return view.source_has_ended ? Action::kWrite : decide_while_reading(view);
  }

 private:
  virtual Action decide_while_reading(const PolicyView& view) const = 0;
};

/// Wait-k: word t is written after min(k + t, N) units (stream/wait_k.h).
class WaitKPolicy final : public Policy {
 public:
  explicit WaitKPolicy(WaitK k) : k_(k) {}

 private:
  Action decide_while_reading(const PolicyView& view) const override;
  WaitK k_;
};

}  // namespace tandem
