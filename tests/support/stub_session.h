// A session on the stub network. Source words are written as the number of their rows: "2" is a word of two
// tokens.
#pragma once

#include <memory>
#include <string>

#include "engine/session_core.h"
#include "support/stub_network.h"

namespace tandem::testing {

struct StubOptions {
  WaitK k = WaitK(1);
  int source_prefix = 1;
  int source_suffix = 1;
  int target_prefix = 1;  // of the first target; each further one has a row more, and so a text of its own
  int n_targets = 1;
  EndMarker end_marker = EndMarker::kWithLastWord;
  Fuse fuse = Fuse::kWhenReady;
  Fork fork = Fork::kWhenReady;
  bool forks_pay = true;
  ReadAhead read_ahead = ReadAhead::kWhenRoom;
  int n_slots = 256;
  int no_repeat_ngram = 0;
  int target_rows_base = 1000;  // golden traces know no bound
  WordUnit target_unit = WordUnit::kSpaced;
  bool has_lone_mark = false;  // piece kLoneMark is a mark and nothing else
};

inline constexpr int kLoneMark = 3;

inline const std::vector<PieceInfo>& stub_pieces() {
  static const std::vector<PieceInfo> pieces = StubNetwork::pieces();
  return pieces;
}
inline const std::vector<std::string>& stub_bytes() {
  static const std::vector<std::string> bytes = StubNetwork::bytes();
  return bytes;
}

inline const std::vector<PieceInfo>& marked_pieces() {
  static const std::vector<PieceInfo> pieces = [] {
    auto marked = StubNetwork::pieces();
    marked[kLoneMark].only_mark = true;
    return marked;
  }();
  return pieces;
}
/// Of a language without spaces: every piece is one code point.
inline const std::vector<PieceInfo>& unspaced_pieces() {
  static const std::vector<PieceInfo> pieces = [] {
    auto unspaced = StubNetwork::pieces();
    for (PieceInfo& piece : unspaced) piece.begins_word = false;
    return unspaced;
  }();
  return pieces;
}
inline const std::vector<PieceInfo>& pieces_of(const StubOptions& options) {
  if (options.target_unit == WordUnit::kCodePoint) return unspaced_pieces();
  return options.has_lone_mark ? marked_pieces() : stub_pieces();
}
inline const std::vector<std::string>& marked_bytes() {
  static const std::vector<std::string> bytes = [] {
    auto marked = StubNetwork::bytes();
    marked[kLoneMark] = " ";
    return marked;
  }();
  return bytes;
}

inline std::unique_ptr<SessionCore> open_stub_session(Network& network, const StubOptions& options) {
  SessionParts parts;
  parts.network = &network;
  parts.span = network.reserve(options.n_slots);
  parts.target_start = Position::whole(0);
  parts.tokenize_word = [](std::string_view word, bool) {
    const int n_rows = std::stoi(std::string(word));
    if (n_rows < 0) throw Error(ErrorCode::kInvalidArgument, "stub tokenizer: expected a count of rows");
    return std::vector<TokenId>(static_cast<std::size_t>(n_rows), TokenId{9});
  };
  const auto rows = [](int n, int token) {
    return std::vector<TokenId>(static_cast<std::size_t>(n), TokenId{token});
  };
  for (int i = 0; i < options.n_targets; ++i) {
    TargetParts& target = parts.targets.emplace_back();
    target.prompt = {.source_prefix = rows(options.source_prefix, 0),
                     .source_suffix = rows(options.source_suffix, 0),
                     .target_prefix = rows(options.target_prefix + i, 1),
                     .end = rows(1, 2)};
    target.policy = std::make_unique<WaitKPolicy>(options.k);
    target.sampler = std::make_unique<Sampler>(pieces_of(options), target.prompt.end);
    target.unit = options.target_unit;
  }
  parts.setup.pieces = pieces_of(options);
  parts.setup.bytes = options.has_lone_mark ? marked_bytes() : stub_bytes();
  parts.setup.end_marker = options.end_marker;
  parts.setup.fuse = options.fuse;
  parts.setup.fork = options.fork;
  parts.forks_pay_alone = options.forks_pay;
  parts.setup.read_ahead = options.read_ahead;
  parts.setup.target_rows_base = options.target_rows_base;
  parts.setup.no_repeat_ngram = options.no_repeat_ngram;
  return std::make_unique<SessionCore>(std::move(parts));
}

}  // namespace tandem::testing
