#include "stream/visibility.h"

#include <limits>

#include "tandem/error.h"

namespace tandem {

Position position_of(Group group, int index, Position target_start) {
  return group.is_source() ? Position::whole(index) : target_start.plus(index);
}

bool sees(const RowPlace& query, const RowPlace& key) {
  if (query.slot == key.slot) return true;
  if (key.kind != RowKind::kKept) return false;
  if (query.group == key.group) return key.index <= query.index;
  return key.group.is_source() && key.index < query.visible;
}

void fill_mask(std::span<const RowPlace> queries, std::span<const RowPlace> keys, std::span<float> out) {
  if (out.size() != queries.size() * keys.size()) {
    throw Error(ErrorCode::kInvalidArgument, "fill_mask: expected " +
                                                 std::to_string(queries.size() * keys.size()) +
                                                 " mask entries, got " + std::to_string(out.size()));
  }
  constexpr float kHidden = -std::numeric_limits<float>::infinity();
  auto entry = out.begin();
  for (const RowPlace& query : queries) {
    for (const RowPlace& key : keys) *entry++ = sees(query, key) ? 0.0F : kHidden;
  }
}

}  // namespace tandem
