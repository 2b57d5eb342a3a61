// What libllama asserts on or throws from in a vocabulary, checked before it sees the file. A failed
// assertion there ends the whole process, with every session in it; a missing byte piece throws only when
// some later text needs it.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <string_view>
#include <unordered_map>

#include "tandem/error.h"
#include "text/utf8.h"
#include "text/vocabulary.h"

namespace tandem {
namespace {

// Types of tokenizer.ggml.token_type: 0 undefined, 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused,
// 6 byte.
constexpr int kByteType = 6;
constexpr int kLastType = 6;
constexpr std::size_t kMaxPieces = std::size_t{1}
                                   << 24;          // far above any real vocabulary; ids are 32-bit signed
constexpr std::size_t kMaxPieceBytes = 64 * 1024;  // Gemma's longest is below 100

class TableCheck {
 public:
  TableCheck(const TokenizerTables& tables, std::string_view file) : tables_(tables), file_(file) {}

  void run() const {
    check_model();
    check_lengths();
    check_pieces();
    check_types();
    check_scores();
    check_special_ids();
    if (is_spm()) {
      check_byte_pieces_spm();
    } else {
      check_merges();
    }
  }

 private:
  bool is_spm() const { return tables_.model == "llama"; }

  [[noreturn]] void fail(std::string_view key, std::string_view expected, std::string_view got,
                         ErrorCode code = ErrorCode::kBadFile) const {
    throw Error(code, fmt::format("{}: tokenizer.ggml.{}: expected {}, got {}", file_, key, expected, got));
  }

  void check_model() const {
    if (tables_.model == "llama" || tables_.model == "gpt2" || tables_.model == "gemma4") return;
    fail("model", "\"llama\", \"gpt2\" or \"gemma4\"", fmt::format("\"{}\"", printable(tables_.model)),
         tables_.model.empty() ? ErrorCode::kBadFile : ErrorCode::kUnsupported);
  }

  void check_lengths() const {
    const std::size_t n = tables_.pieces.size();
    if (n == 0 || n > kMaxPieces)
      fail("tokens", fmt::format("1 to {} pieces", kMaxPieces), fmt::format("{}", n));
    if (!tables_.types.empty() && tables_.types.size() != n) {
      fail("token_type", fmt::format("{} types, one per piece", n), fmt::format("{}", tables_.types.size()));
    }
    if (!tables_.scores.empty() && tables_.scores.size() != n) {
      fail("scores", fmt::format("{} scores, one per piece", n), fmt::format("{}", tables_.scores.size()));
    }
  }

  void check_pieces() const {
    std::unordered_map<std::string_view, std::size_t> seen;
    seen.reserve(tables_.pieces.size());
    for (std::size_t id = 0; id < tables_.pieces.size(); ++id) {
      const std::string& piece = tables_.pieces[id];
      const std::string name = fmt::format("tokens[{}]", id);
      if (piece.size() > kMaxPieceBytes) {
        fail(name, fmt::format("at most {} bytes", kMaxPieceBytes), fmt::format("{}", piece.size()));
      }
      if (const auto offset = find_invalid_utf8(piece)) {
        fail(name, "valid UTF-8", fmt::format("an invalid byte at offset {}", *offset));
      }
      const auto [first, is_new] = seen.emplace(piece, id);
      if (!is_new) {
        fail(name, "a piece of its own",
             fmt::format("\"{}\" again, as in tokens[{}]", printable(piece), first->second));
      }
      // libllama renames an empty piece after its id, and the new name may be there already.
      if (piece.empty()) fail(name, "at least one byte", "an empty piece");
    }
  }

  void check_types() const {
    for (std::size_t id = 0; id < tables_.types.size(); ++id) {
      const int type = tables_.types[id];
      const std::string name = fmt::format("token_type[{}]", id);
      if (type < 0 || type > kLastType)
        fail(name, fmt::format("0 to {}", kLastType), fmt::format("{}", type));
      if (type == kByteType && !is_byte_name(tables_.pieces[id])) {
        fail(name, "a byte piece named <0x00> to <0xFF>",
             fmt::format("\"{}\"", printable(tables_.pieces[id])));
      }
    }
  }

  void check_scores() const {
    // A NaN breaks the ordering of libllama's queue of merges.
    const auto bad =
        std::find_if(tables_.scores.begin(), tables_.scores.end(), [](float s) { return std::isnan(s); });
    if (bad == tables_.scores.end()) return;
    fail(fmt::format("scores[{}]", bad - tables_.scores.begin()), "a number", "NaN");
  }

  void check_special_ids() const {
    const auto n = static_cast<long long>(tables_.pieces.size());
    for (const auto& [key, id] : tables_.special_ids) {
      if (id >= 0 && id < n) continue;
      constexpr std::string_view kPrefix = "tokenizer.ggml.";
      const std::string_view name = std::string_view(key).starts_with(kPrefix)
                                        ? std::string_view(key).substr(kPrefix.size())
                                        : std::string_view(key);
      fail(printable(name), fmt::format("an id from 0 to {}", n - 1), fmt::format("{}", id));
    }
  }

  /// Any byte may have to be spelt, and libllama throws where neither its <0xHH> piece nor the byte itself is
  /// there.
  void check_byte_pieces_spm() const {
    const auto pieces = piece_set();
    for (int byte = 0; byte < 256; ++byte) {
      const std::string name = fmt::format("<0x{:02X}>", byte);
      const std::string itself(1, static_cast<char>(byte));
      if (pieces.count(name) == 0 && (byte >= 0x80 || pieces.count(itself) == 0)) {
        fail("tokens", "a piece for every byte", fmt::format("none for {}", name));
      }
    }
  }

  /// A merge is two pieces with one space between; libllama keeps a malformed one as a pair of empty strings,
  /// of which the first wins, so that a damaged table would go unnoticed and tokenise wrongly.
  void check_merges() const {
    if (tables_.merges.empty()) fail("merges", "at least one merge", "none");
    for (std::size_t i = 0; i < tables_.merges.size(); ++i) {
      const std::string& merge = tables_.merges[i];
      const std::string name = fmt::format("merges[{}]", i);
      if (merge.size() > 2 * kMaxPieceBytes) {
        fail(name, fmt::format("at most {} bytes", 2 * kMaxPieceBytes), fmt::format("{}", merge.size()));
      }
      if (find_invalid_utf8(merge)) fail(name, "valid UTF-8", fmt::format("\"{}\"", printable(merge)));
      const std::size_t space = merge.find(' ', 1);
      if (merge.empty() || space == std::string::npos || space + 1 == merge.size()) {
        fail(name, "two pieces with a space between", fmt::format("\"{}\"", printable(merge)));
      }
    }
  }

  std::unordered_map<std::string_view, bool> piece_set() const {
    std::unordered_map<std::string_view, bool> set;
    for (const std::string& piece : tables_.pieces) set.emplace(piece, true);
    return set;
  }

  static bool is_byte_name(std::string_view piece) {
    const auto is_hex = [](char c) {
      return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F') || (c >= 'a' && c <= 'f');
    };
    return piece.size() == 6 && piece.starts_with("<0x") && piece[5] == '>' && is_hex(piece[3]) &&
           is_hex(piece[4]);
  }

  /// For a one-line message: control characters and broken bytes as '?', and not more than 40 bytes.
  static std::string printable(std::string_view text) {
    std::string out;
    for (const char c : text.substr(0, 40)) out += (c >= ' ' && c <= '~') ? c : '?';
    return text.size() > 40 ? out + "..." : out;
  }

  const TokenizerTables& tables_;
  std::string_view file_;
};

}  // namespace

void check_tokenizer_tables(const TokenizerTables& tables, std::string_view file) {
  TableCheck(tables, file).run();
}

}  // namespace tandem
