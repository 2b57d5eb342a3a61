// Mixing positions, slots and tokens is a compile error. Each CASE_ must fail; without any, the file
// compiles.
#include "stream/types.h"

namespace tandem {

void use() {
  [[maybe_unused]] Position position = Position::whole(1);
  [[maybe_unused]] Slot slot{2};
  [[maybe_unused]] TokenId token{3};
#ifdef CASE_POSITION_FROM_INT
  position = 4;
#endif
#ifdef CASE_SLOT_FROM_POSITION
  slot = position;
#endif
#ifdef CASE_TOKEN_FROM_SLOT
  token = slot;
#endif
#ifdef CASE_SLOT_PLUS_INT
  slot = slot + 1;
#endif
}

}  // namespace tandem
