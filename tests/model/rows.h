// A session as tests drive it: its timeline, its span of a network's cache, and passes over rows of its own
// choosing.
#pragma once

#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "model/network.h"
#include "stream/timeline.h"
#include "support/flat.h"
#include "tandem/error.h"

namespace tandem::testing {

class TestSession {
 public:
  TestSession(Network& network, int n_slots, Position target_start = {},
              std::shared_ptr<const Adapter> adapter = nullptr)
      : network_(&network),
        adapter_(std::move(adapter)),
        span_(network.reserve(n_slots)),
        timeline_(target_start, n_slots) {
    TANDEM_CHECK(span_.size == n_slots);
  }

  /// Adds rows to the next pass.
  Slot source(int token, bool wants_logits = true) {
    return add(token, timeline_.add_source_row(), wants_logits);
  }
  Slot target(int token, int visible, RowKind kind = RowKind::kKept, bool wants_logits = true) {
    return add(token, timeline_.add_target_row(visible, kind), wants_logits);
  }

  /// The rows added since the last call, ready for Network::evaluate.
  SessionRows take_rows() {
    SessionRows rows{span_, timeline_.rows(), std::move(pending_), adapter_};
    pending_.clear();
    return rows;
  }

  /// A pass with this session alone. Returns a copy of the logits.
  std::vector<float> evaluate() {
    const SessionRows rows = take_rows();
    return flat(network_->evaluate(std::span(&rows, 1)));
  }

  Timeline& timeline() { return timeline_; }
  CacheSpan span() const { return span_; }
  void release() { network_->release(span_); }

 private:
  Slot add(int token, RowPlace place, bool wants_logits) {
    pending_.push_back({TokenId{token}, place, wants_logits});
    return place.slot;
  }

  Network* network_;
  std::shared_ptr<const Adapter> adapter_;
  CacheSpan span_;
  Timeline timeline_;
  std::vector<PassRow> pending_;
};

}  // namespace tandem::testing
