// Parallel text from disk, row by row: a source line and its translations.
//
// Two forms: a TSV whose header names its columns (set, source, then one per language; an empty cell is a
// missing translation), or two plain files of which line N of one is the translation of line N of the other.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "train/train_config.h"

namespace tandem {

/// Views that are valid during the call that gets them. Valid UTF-8, not trimmed.
struct TextRow {
  struct Target {
    int language = 0;  // index into the run's target languages
    std::string_view text;
  };
  std::string_view set;
  std::string_view source;
  std::vector<Target> targets;  // those that have text; at least one
};

struct TextReport {
  std::int64_t n_lines = 0;    // without header lines
  std::int64_t n_invalid = 0;  // not valid UTF-8, or with another number of columns than the header: skipped
  std::int64_t n_empty = 0;    // without a source, or without any target of the run: skipped
  std::vector<std::string> problems;  // "file:line: what", of the first few invalid lines
};

/// Calls `on_row` for every row of `files`, in order. Columns of other languages are passed over.
/// Throws Error{kNotFound} for a file that is not there, Error{kBadFile} for a header without the columns
/// that are needed, for two plain files of unequal length (both counts are named), and if more than 1 line in
/// 100 is invalid.
TextReport read_parallel_text(std::span<const DataFile> files, const std::vector<std::string>& languages,
                              const std::function<void(const TextRow&)>& on_row);

}  // namespace tandem
