// Which rows a pass has, and how they are put together: what makes two passes the same graph.
//
// All rows of all sessions go through the matrices together, session after session; only attention is per
// session, over the session's own slots. Sessions with the same adapter are neighbours, and so are those with
// the same head: what an adapter adds, and what a head makes of rows, is a product over one range of rows.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

namespace tandem {

class Adapter;
struct Head;

/// One session's part of a pass.
struct SessionPart {
  int first_row = 0;  // among the rows of the pass
  int n_rows = 0;
  int first_slot = 0;    // of the cache
  int n_keys = 0;        // slots that attention reads, from first_slot on
  std::size_t mask = 0;  // where its own begins in the pass' mask
  std::size_t keys = 0;  // and among the keys of all sessions

  bool operator==(const SessionPart&) const = default;
};

struct RowRange {
  int first = 0;
  int n = 0;

  bool operator==(const RowRange&) const = default;
};

/// Rows with the same adapter.
struct AdapterPart {
  std::shared_ptr<const Adapter> adapter;
  RowRange rows;    // of the pass
  RowRange logits;  // of the rows whose logits are wanted

  bool operator==(const AdapterPart&) const = default;
};

/// Rows whose logits come from the same head.
struct HeadPart {
  std::shared_ptr<const Head> head;
  RowRange logits;

  bool operator==(const HeadPart&) const = default;
};

struct PassShape {
  std::vector<SessionPart> sessions;
  std::vector<AdapterPart> adapters;  // none for rows without one
  std::vector<HeadPart> heads;        // together all rows whose logits are wanted, in order
  int n_rows = 0;
  int n_logits = 0;
  std::size_t n_mask = 0;  // numbers of the pass' mask: rows times keys, over all sessions
  std::size_t n_keys = 0;  // of all sessions

  bool operator==(const PassShape&) const = default;
  /// No rows; the memory stays.
  void clear() {
    sessions.clear(), adapters.clear(), heads.clear();
    n_rows = n_logits = 0;
    n_mask = n_keys = 0;
  }
};

}  // namespace tandem
