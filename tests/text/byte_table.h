// A hand-made vocabulary for tests: pieces written with '_' for the mark and \xHH for raw bytes.
#pragma once

#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "text/vocabulary.h"

namespace tandem::testing {

/// "_a\xE4" -> " a" and one raw byte.
inline std::string unescape_piece(std::string_view written) {
  std::string bytes;
  for (std::size_t i = 0; i < written.size(); ++i) {
    if (written[i] == '_') {
      bytes += ' ';
    } else if (written.substr(i, 2) == "\\x") {
      bytes += static_cast<char>(std::strtol(std::string(written.substr(i + 2, 2)).c_str(), nullptr, 16));
      i += 3;
    } else {
      bytes += written[i];
    }
  }
  return bytes;
}

inline std::vector<std::string> split_on(std::string_view text, char separator) {
  std::vector<std::string> parts(1);
  for (const char c : text) {
    if (c == separator) {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

/// "_a|b" -> {" a", "b"}
inline std::vector<std::string> unescape_pieces(std::string_view written) {
  std::vector<std::string> pieces = split_on(written, '|');
  for (std::string& piece : pieces) piece = unescape_piece(piece);
  return pieces;
}

inline std::vector<PieceInfo> describe_pieces(const std::vector<std::string>& pieces) {
  std::vector<PieceInfo> infos;
  for (const std::string& piece : pieces) infos.push_back(describe_bytes(piece));
  return infos;
}

}  // namespace tandem::testing
