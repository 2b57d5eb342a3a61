// Who gets how many rows of the next pass. Plain data in, plain data out: no weights, no clock, no sessions;
// docs/passes.md has the drawing.
//
// A pass reads all the weights whatever its number of rows, so every session that can go on rides in it. What
// a session may bring, in this order:
//
//   questions  target rows whose logits decide what is written, and with them a word's source rows
//   sources    more than a word at once (a newcomer's, a whole sentence): in chunks, to hold nobody up
//   ahead      source that has arrived and may not be seen yet: in what is left, up to cheap_rows
#pragma once

#include <span>
#include <vector>

namespace tandem {

/// What one session would bring.
struct RowRequest {
  int source_rows = 0;  // that its questions will see and that were not evaluated yet
  int target_rows = 0;  // that ask its questions
  int ahead_rows = 0;   // arrived source beyond that

  bool is_empty() const { return source_rows + target_rows + ahead_rows == 0; }
  bool operator==(const RowRequest&) const = default;
};

/// What it may bring: so many source rows in their order, and its questions or none of them.
struct RowGrant {
  int source_rows = 0;
  bool asks = false;

  bool is_empty() const { return source_rows == 0 && !asks; }
  bool operator==(const RowGrant&) const = default;
};

struct PassBudget {
  int rows = 512;         // of a pass
  int source_rows = 512;  // of long sources in a pass that several sessions share
  int cheap_rows = 512;   // reading ahead fills a pass up to so many rows, no further
};

/// Shares out one pass. `requests` stand in the order of their turn, the longest waiting first: the first is
/// always served, and all are while the rows suffice. So among n sessions none waits more than n - 1 passes,
/// and none waits at all while their questions fit. Needs target_rows < budget.rows of each. A session that
/// is alone has no one to hold up: its source comes in as few passes as it can.
///   grants  overwritten: one for each request
void share_rows(std::span<const RowRequest> requests, const PassBudget& budget,
                std::vector<RowGrant>& grants);

}  // namespace tandem
