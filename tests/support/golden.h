// Where the golden vectors are, and how a test reads them.
//
// A golden vector is a file made by another program than ours (tests/golden/README.md names which). Every
// test that reads a folder of them also reads the same folder under $TANDEM_GOLDEN_DIR, if that is set: a
// held-out set in the same format. A folder in which nothing is found is an error, so that no test can pass
// on an empty list.
#pragma once

#include <algorithm>
#include <boost/json.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "tandem/error.h"

namespace tandem::testing {

/// The two roots: tests/golden, and $TANDEM_GOLDEN_DIR if it is set and not empty.
inline std::vector<std::filesystem::path> golden_roots() {
  std::vector<std::filesystem::path> roots = {std::filesystem::path(TANDEM_TEST_DIR) / "golden"};
  const char* held_out = std::getenv("TANDEM_GOLDEN_DIR");
  if (held_out != nullptr && *held_out != '\0') roots.emplace_back(held_out);
  return roots;
}

/// All files of `folder` ("masks/group") whose name ends with `extension` (".json"), sorted within each root,
/// not recursive. Throws kNotFound if no root has one.
inline std::vector<std::filesystem::path> golden_files(std::string_view folder, std::string_view extension) {
  std::vector<std::filesystem::path> found;
  for (const std::filesystem::path& root : golden_roots()) {
    const std::filesystem::path directory = root / folder;
    if (!std::filesystem::is_directory(directory)) continue;
    const auto first_of_root = static_cast<std::ptrdiff_t>(found.size());
    for (const auto& entry : std::filesystem::directory_iterator(directory)) {
      if (entry.is_regular_file() && entry.path().filename().string().ends_with(extension)) {
        found.push_back(entry.path());
      }
    }
    std::sort(found.begin() + first_of_root, found.end());
  }
  if (found.empty()) {
    throw Error(ErrorCode::kNotFound, "golden vectors: expected *" + std::string(extension) +
                                          " in tests/golden/" + std::string(folder));
  }
  return found;
}

/// The whole file as bytes.
inline std::string read_text(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw Error(ErrorCode::kNotFound, path.string() + ": cannot be opened");
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

/// The file as one JSON value. Throws boost::system::system_error if it is not JSON.
inline boost::json::value read_json(const std::filesystem::path& path) {
  return boost::json::parse(read_text(path));
}

}  // namespace tandem::testing
