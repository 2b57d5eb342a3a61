// K and V of every row that is kept, for all sessions of a network.
//
//   per layer   k, v   ne = [n_embd_kv, n_slots]   one row per slot, in any CacheType
//
// A session's slots are one contiguous span, so that one attention node serves one session. Spans are handed
// out first fit; there are few sessions and spans are of like size, so fragmentation is not worth a page
// table (which ggml's fused attention could not read anyway).
#pragma once

#include <ggml-cpp.h>

#include <cstddef>
#include <vector>

#include "model/model_options.h"
#include "model/network.h"

namespace tandem {

struct ModelConfig;

class Cache {
 public:
  struct Layer {
    ggml_tensor* k;  // ne = [n_embd_kv, n_slots]
    ggml_tensor* v;  // ne = [n_embd_kv, n_slots]
  };

  /// Throws Error{kUnsupported} if memory does not suffice, and as cache_bytes_per_slot().
  Cache(const ModelConfig& config, CacheType type, int n_slots, ggml_backend_buffer_type_t buffer_type);

  const Layer& layer(int i) const { return layers_[static_cast<std::size_t>(i)]; }
  int n_slots() const { return n_slots_; }
  /// Over all layers.
  std::size_t bytes_per_slot() const { return bytes_per_slot_; }

  /// A span, or an empty one (size 0) when no gap is long enough. Its memory is not touched before prepare():
  /// a session that is open and idle takes address space, and no pages.
  [[nodiscard]] CacheSpan reserve(int n_slots);
  /// The first `n_slots` slots of a reserved span are going to be read: those that this was not asked for
  /// since reserve() become zeros.
  void prepare(CacheSpan span, int n_slots);
  /// Needs a span that reserve() returned.
  void release(CacheSpan span);
  bool is_reserved(CacheSpan span) const;

 private:
  struct Reserved {
    CacheSpan span;
    int n_prepared = 0;  // slots from its begin on that hold numbers
  };
  std::vector<Reserved>::const_iterator find(CacheSpan span) const;
  void clear(CacheSpan slots);

  int n_slots_;
  std::size_t bytes_per_slot_;
  ggml_context_ptr context_;
  ggml_backend_buffer_ptr buffer_;
  std::vector<Layer> layers_;
  std::vector<Reserved> spans_;  // ascending
};

}  // namespace tandem
