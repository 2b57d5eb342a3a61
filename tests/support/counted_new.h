// Counts calls of operator new in the whole program: link counted_new.cpp into a test of its own.
#pragma once

namespace tandem::testing {

long n_allocations();

}  // namespace tandem::testing
