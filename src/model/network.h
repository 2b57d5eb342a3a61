// The seam between streaming and weights: rows in, logits out.
//
// The engine says which rows of which sessions go through the weights in one pass; a Network evaluates them.
// The real one is a ggml graph (ggml_network.h); tests put a stub in its place, which answers from a hash of
// what a row may see, so that the engine can be held against golden traces without any weights.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "stream/visibility.h"

namespace tandem {

class Adapter;

/// One row of a pass: what to evaluate, where it stands, and whether its logits will be read.
struct PassRow {
  TokenId token{};
  RowPlace place;
  bool wants_logits = false;
};

/// A session's slots in the cache: [begin, begin + size). Slot s of its timeline is slot begin + s of the
/// cache.
struct CacheSpan {
  int begin = 0;
  int size = 0;
};

/// The rows that one session puts into a pass.
struct SessionRows {
  CacheSpan span;
  std::span<const RowPlace> cached;  // Timeline::rows(): slot order, the pass' own rows among them
  std::vector<PassRow> rows;
  std::shared_ptr<const Adapter> adapter = nullptr;  // null: the model as it is
};

/// Logits of the rows that wanted them, in the order of the pass. Valid until the next pass.
///
/// A row has the logits of its head (head.h), the model's or its adapter's: one for each id of the
/// vocabulary, or for each id that the head keeps, in ascending order.
struct Logits {
  std::span<const std::span<const float>> all;

  std::span<const float> row(int i) const { return all[static_cast<std::size_t>(i)]; }
  /// The `n` rows from `from` on, which are those of one session of the pass.
  Logits rows(std::size_t from, std::size_t n) const { return {all.subspan(from, n)}; }
};

class Network {
 public:
  Network() = default;
  Network(const Network&) = delete;
  Network& operator=(const Network&) = delete;
  virtual ~Network() = default;

  /// Most rows that one pass may have, over all its sessions.
  virtual int max_rows_per_pass() const = 0;

  /// Reserves a contiguous span of the cache, or returns an empty one (size 0) when there is no room.
  [[nodiscard]] virtual CacheSpan reserve(int n_slots) = 0;
  virtual void release(CacheSpan span) = 0;

  /// One pass. Writes K and V of every row into its slot; rows see each other and the cache as visibility.h
  /// says. Cost: one reading of the weights, attention over each session's own slots only.
  virtual Logits evaluate(std::span<const SessionRows> pass) = 0;

  /// Calls work(0) to work(n - 1), each once, on the network's threads, and returns when all are done: what
  /// sessions make of their logits takes longer than one thread has. Throws what one of them threw.
  virtual void share_out(int n, const std::function<void(int)>& work) {
    for (int i = 0; i < n; ++i) work(i);
  }

  /// Makes the wide copies (wide_copies.h) for rows of `adapter`, null being the model's, if they are not
  /// there; false if there can be none.
  virtual bool widen(const std::shared_ptr<const Adapter>& /*adapter*/) { return false; }
  /// Frees them all.
  virtual void narrow() {}
  /// From how many rows on a product takes the copy; 0, as at first: none does.
  virtual void set_wide_rows(int /*least*/) {}
};

}  // namespace tandem
