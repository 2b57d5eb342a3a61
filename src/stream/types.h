// The numbers that must not be mixed up: a position is what RoPE rotates by and repeats across groups, a slot
// is where K and V lie and is unique, a token is an id of the vocabulary. Each is its own type, and none
// converts to another (tests/stream/types_must_not_compile.cpp).
#pragma once

#include <compare>
#include <cstdint>

namespace tandem {

enum class TokenId : std::int32_t {};

/// Place of a row's K and V in the cache, relative to the session's span.
enum class Slot : std::int32_t {};

constexpr std::int32_t to_int(TokenId id) {
  return static_cast<std::int32_t>(id);
}
constexpr std::int32_t to_int(Slot slot) {
  return static_cast<std::int32_t>(slot);
}

/// A RoPE position. Held as twice its value, so that phi may be a half (paper, Table 3: phi = 0.5).
class Position {
 public:
  constexpr Position() = default;
  static constexpr Position whole(std::int32_t value) { return Position(2 * value); }
  static constexpr Position from_doubled(std::int32_t doubled) { return Position(doubled); }

  constexpr std::int32_t doubled() const { return doubled_; }
  constexpr bool is_whole() const { return doubled_ % 2 == 0; }
  constexpr double value() const { return doubled_ / 2.0; }

  /// The position `n_rows` further along the same line.
  constexpr Position plus(std::int32_t n_rows) const { return Position(doubled_ + 2 * n_rows); }

  auto operator<=>(const Position&) const = default;

 private:
  explicit constexpr Position(std::int32_t doubled) : doubled_(doubled) {}
  std::int32_t doubled_ = 0;
};

/// Which group a row belongs to: the source, or one of the targets that it feeds.
class Group {
 public:
  static constexpr Group source() { return Group(0); }
  static constexpr Group target(int index = 0) { return Group(index + 1); }

  constexpr bool is_source() const { return id_ == 0; }
  constexpr int target_index() const { return id_ - 1; }

  auto operator<=>(const Group&) const = default;

 private:
  explicit constexpr Group(int id) : id_(id) {}
  int id_;
};

}  // namespace tandem
