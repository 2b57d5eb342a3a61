#include "stream/visibility.h"

#include <cstdint>
#include <cstdlib>
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

bool is_near(const RowPlace& query, const RowPlace& key, int window) {
  if (window == kNoWindow) return true;
  const auto distance = std::int64_t{query.position.doubled()} - key.position.doubled();
  return std::abs(distance) < 2 * std::int64_t{window};
}

void fill_mask(std::span<const RowPlace> queries, std::span<const RowPlace> keys, std::span<float> out,
               int window) {
  if (out.size() != queries.size() * keys.size()) {
    throw Error(ErrorCode::kInvalidArgument, "fill_mask: expected " +
                                                 std::to_string(queries.size() * keys.size()) +
                                                 " mask entries, got " + std::to_string(out.size()));
  }
  constexpr float kHidden = -std::numeric_limits<float>::infinity();
  auto entry = out.begin();
  for (const RowPlace& query : queries) {
    for (const RowPlace& key : keys) {
      *entry++ = sees(query, key) && is_near(query, key, window) ? 0.0F : kHidden;
    }
  }
}

}  // namespace tandem
