// A stub in the model's place: its logits are a hash of the seed, the number of source rows that a target row
// may see and all target tokens up to that row, as tests/golden/decode defines them. So the engine's choices
// can be held against traces that were written by another program, and any row that sees too much or too
// little answers wrongly.
//
// The stub looks at the mask only: it finds a row's target tokens and counts its source rows by asking sees()
// of every cached row, as attention would.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <stdexcept>
#include <vector>

#include "model/network.h"
#include "text/vocabulary.h"

namespace tandem::testing {

inline constexpr int kStubVocabulary = 14;

inline std::uint64_t splitmix64(std::uint64_t x) {
  x += 0x9E3779B97F4A7C15U;
  x = (x ^ (x >> 30U)) * 0xBF58476D1CE4E5B9U;
  x = (x ^ (x >> 27U)) * 0x94D049BB133111EBU;
  return x ^ (x >> 31U);
}

/// Logits of a target row that sees `n_visible` source rows and these target tokens, itself last.
inline std::vector<float> stub_logits(std::uint64_t seed, std::uint64_t n_visible,
                                      const std::vector<TokenId>& tokens) {
  std::uint64_t hash = splitmix64(seed);
  const auto mix = [&hash](std::uint64_t x) { hash = splitmix64(hash ^ (x + 1) * 0x9E3779B97F4A7C15U); };
  mix(n_visible);
  for (TokenId token : tokens) mix(static_cast<std::uint64_t>(to_int(token)));
  std::vector<float> logits;
  for (int id = 0; id < kStubVocabulary; ++id) {
    const double bias = id < 2 || id == 13 ? 9.0 : id == 2 ? 0.6 : id <= 7 ? 0.0 : 0.4;
    const std::uint64_t bits =
        splitmix64(hash ^ (static_cast<std::uint64_t>(id) + 1) * 0xBF58476D1CE4E5B9U) >> 11U;
    logits.push_back(static_cast<float>(static_cast<double>(bits) * 0x1p-53 * 6 + bias));
  }
  return logits;
}

class StubNetwork final : public Network {
 public:
  StubNetwork(std::uint64_t seed, int n_slots, int max_rows = 64)
      : seed_(seed), n_slots_(n_slots), max_rows_(max_rows) {}

  int max_rows_per_pass() const override { return max_rows_; }

  CacheSpan reserve(int n_slots) override {
    if (n_slots > n_slots_ - reserved_) return {};
    const CacheSpan span{.begin = reserved_, .size = n_slots};
    reserved_ += n_slots;
    return span;
  }
  void release(CacheSpan) override {}

  Logits evaluate(std::span<const SessionRows> pass) override {
    logits_.clear();
    for (const SessionRows& session : pass) {
      for (const PassRow& row : session.rows) tokens_[key(session, row.place.slot)] = row.token;
      for (const PassRow& row : session.rows) {
        if (row.wants_logits) answer(session, row);
      }
    }
    rows_.assign(logits_.begin(), logits_.end());
    return {rows_};
  }

  /// 0, 1, 13 masked; 2 = end; 3-7 begin a word; 8-12 continue one.
  static std::vector<PieceInfo> pieces() {
    std::vector<PieceInfo> pieces(kStubVocabulary);
    for (int id = 0; id < kStubVocabulary; ++id) {
      auto& piece = pieces[static_cast<std::size_t>(id)];
      piece.is_masked = id < 2 || id == 13;
      piece.is_end = id == 2;
      piece.begins_word = id >= 3 && id <= 7;
      piece.n_code_points = 1;
    }
    return pieces;
  }
  static std::vector<std::string> bytes() {
    std::vector<std::string> bytes(kStubVocabulary);
    for (int id = 3; id <= 12; ++id) {
      auto& piece = bytes[static_cast<std::size_t>(id)];
      if (id <= 7) piece.push_back(' ');
      piece.push_back(static_cast<char>('a' + id));
    }
    return bytes;
  }

 private:
  static int key(const SessionRows& session, Slot slot) { return session.span.begin + to_int(slot); }

  void answer(const SessionRows& session, const PassRow& row) {
    std::uint64_t n_visible = 0;
    std::map<int, TokenId> target;  // by index
    for (const RowPlace& cached : session.cached) {
      if (!sees(row.place, cached)) continue;
      if (cached.group.is_source()) {
        ++n_visible;
      } else {
        target[cached.index] = tokens_.at(key(session, cached.slot));
      }
    }
    std::vector<TokenId> tokens;
    for (const auto& [index, token] : target) tokens.push_back(token);
    logits_.push_back(stub_logits(seed_, n_visible, tokens));
  }

  std::uint64_t seed_;
  int n_slots_;
  int max_rows_;
  int reserved_ = 0;
  std::map<int, TokenId> tokens_;           // by slot of the cache
  std::vector<std::vector<float>> logits_;  // of each row
  std::vector<std::span<const float>> rows_;
};

}  // namespace tandem::testing
