// A set of tests/golden/quality: hypotheses, references, and what sacrebleu or jiwer says of them.
#pragma once

#include <boost/json.hpp>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "support/golden.h"

namespace tandem::testing {

struct QualitySet {
  std::string name;
  std::vector<std::string> hypotheses;
  std::vector<std::string> references;
  boost::json::object expected;
};

/// Lines of a file in which every line, also an empty one, ends with LF.
inline std::vector<std::string> read_lines(const std::filesystem::path& path) {
  std::vector<std::string> lines;
  std::ifstream in(path, std::ios::binary);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

/// All sets whose JSON has the key: "corpus" (sacrebleu) or "raw" (jiwer). Throws if there is none.
inline std::vector<QualitySet> quality_sets(std::string_view key) {
  std::vector<QualitySet> sets;
  for (const std::filesystem::path& path : golden_files("quality", ".json")) {
    const boost::json::value json = read_json(path);
    if (!json.as_object().contains(boost::json::string_view(key.data(), key.size()))) continue;
    std::filesystem::path hypotheses = path;
    std::filesystem::path references = path;
    sets.push_back({.name = path.string(),
                    .hypotheses = read_lines(hypotheses.replace_extension(".hyp.txt")),
                    .references = read_lines(references.replace_extension(".ref.txt")),
                    .expected = json.as_object()});
  }
  if (sets.empty()) throw Error(ErrorCode::kNotFound, "golden quality: no set has " + std::string(key));
  return sets;
}

}  // namespace tandem::testing
