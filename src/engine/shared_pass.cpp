#include "engine/shared_pass.h"

#include <algorithm>
#include <cstdint>

#include "tandem/error.h"

namespace tandem {
namespace {

/// How many of the sessions from the first on have room in one pass.
std::size_t count_that_fit(int max_rows, std::span<SessionCore* const> sessions) {
  std::size_t n = 0;
  std::int64_t largest = 0;
  for (const SessionCore* session : sessions) {
    largest = std::max<std::int64_t>(largest, session->least_rows());
    if (largest * static_cast<std::int64_t>(n + 1) > max_rows) break;
    ++n;
  }
  return n;
}

void run_one_pass(Network& network, std::span<SessionCore* const> sessions) {
  std::vector<SessionRows> pass;
  std::vector<SessionCore*> riders;
  int n_free = network.max_rows_per_pass();
  for (std::size_t i = 0; i < sessions.size(); ++i) {
    SessionCore& session = *sessions[i];
    if (!session.plan(n_free / static_cast<int>(sessions.size() - i))) continue;
    n_free -= static_cast<int>(session.rows().rows.size());
    pass.push_back(session.rows());
    riders.push_back(&session);
  }
  if (riders.empty()) return;
  const Logits logits = network.evaluate(pass);
  std::size_t first = 0;
  for (std::size_t i = 0; i < riders.size(); ++i) {
    const auto wants = [](const PassRow& row) { return row.wants_logits; };
    const auto n = static_cast<std::size_t>(std::count_if(pass[i].rows.begin(), pass[i].rows.end(), wants));
    riders[i]->absorb(logits.rows(first, n));
    first += n;
  }
}

}  // namespace

std::vector<Progress> step_together(Network& network, std::span<SessionCore* const> sessions) {
  std::vector<Progress> progress;
  while (progress.size() < sessions.size()) {
    const auto rest = sessions.subspan(progress.size());
    const std::size_t n = count_that_fit(network.max_rows_per_pass(), rest);
    TANDEM_CHECK(n > 0);  // a session whose prompt does not fit was not opened
    run_one_pass(network, rest.first(n));
    for (SessionCore* session : rest.first(n)) progress.push_back(session->settle());
  }
  return progress;
}

}  // namespace tandem
