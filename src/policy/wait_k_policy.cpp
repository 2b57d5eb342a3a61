#include <limits>

#include "policy/policy.h"

namespace tandem {

Action WaitKPolicy::decide_while_reading(const PolicyView& view) const {
  // While the source goes on, its length is unknown: as good as endless.
  constexpr int kEndless = std::numeric_limits<int>::max();
  return view.units_read < k_.units_for_word(view.word, kEndless) ? Action::kRead : Action::kWrite;
}

}  // namespace tandem
