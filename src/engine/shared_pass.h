// Steps of several sessions with their rows in one pass: the weights, which are most of what a pass has to
// read, are read once for all of them.
#pragma once

#include <span>
#include <vector>

#include "engine/session_core.h"
#include "model/network.h"

namespace tandem {

/// One step of each session; passes are filled in the order given. The room of a pass is shared out evenly
/// among the sessions that are still to come, so that one's long source takes no room from the others.
std::vector<Progress> step_together(Network& network, std::span<SessionCore* const> sessions);

}  // namespace tandem
