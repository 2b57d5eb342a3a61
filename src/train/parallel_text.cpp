#include "train/parallel_text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <fstream>
#include <optional>

#include "tandem/error.h"
#include "text/utf8.h"

namespace tandem {
namespace {

constexpr std::size_t kMostProblems = 10;

/// The lines of one file; a carriage return before the line's end is not part of it.
class LineReader {
 public:
  explicit LineReader(const std::string& path) : path_(path), stream_(path, std::ios::binary) {
    if (!stream_)
      throw Error(ErrorCode::kNotFound, fmt::format("{}: expected a text file, cannot open it", path));
  }
  /// False at the end of the file.
  bool next() {
    if (!std::getline(stream_, line_)) {
      if (stream_.bad())
        throw Error(ErrorCode::kIo, fmt::format("{}: cannot read line {}", path_, number_ + 1));
      return false;
    }
    ++number_;
    if (line_.ends_with('\r')) line_.pop_back();
    return true;
  }
  std::int64_t count_rest() {
    while (next()) continue;
    return number_;
  }
  const std::string& line() const { return line_; }
  std::int64_t number() const { return number_; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  std::ifstream stream_;
  std::string line_;
  std::int64_t number_ = 0;
};

/// Reads files into one report.
class ParallelReader {
 public:
  ParallelReader(const std::vector<std::string>& languages, const std::function<void(const TextRow&)>& on_row)
      : languages_(languages), on_row_(on_row) {}

  void read_tsv(const std::string& path);
  void read_plain(const DataFile& data);
  TextReport finish() &&;

 private:
  bool is_valid(const LineReader& lines) {
    const auto offset = find_invalid_utf8(lines.line());
    if (offset) note_invalid(lines, fmt::format("invalid UTF-8 at byte {}", *offset));
    return !offset.has_value();
  }
  void note_invalid(const LineReader& lines, const std::string& what) {
    ++report_.n_invalid;
    if (report_.problems.size() < kMostProblems) {
      report_.problems.push_back(fmt::format("{}:{}: {}", lines.path(), lines.number(), what));
    }
  }
  void hand_over() {
    if (split_words(row_.source).empty() || row_.targets.empty()) {
      ++report_.n_empty;
    } else {
      on_row_(row_);
    }
  }
  void add_target(int language, std::string_view text) {
    if (!split_words(text).empty()) row_.targets.push_back({language, text});
  }
  std::optional<int> index_of(std::string_view language) const {
    const auto place = std::find(languages_.begin(), languages_.end(), language);
    if (place == languages_.end()) return std::nullopt;
    return static_cast<int>(place - languages_.begin());
  }

  const std::vector<std::string>& languages_;
  const std::function<void(const TextRow&)>& on_row_;
  TextReport report_;
  TextRow row_;
};

void split_cells(std::string_view line, std::vector<std::string_view>& cells) {
  cells.clear();
  for (std::size_t tab = line.find('\t'); tab != std::string_view::npos; tab = line.find('\t')) {
    cells.push_back(line.substr(0, tab));
    line.remove_prefix(tab + 1);
  }
  cells.push_back(line);
}

void ParallelReader::read_tsv(const std::string& path) {
  LineReader lines(path);
  lines.next();
  const std::string header = lines.line();
  std::vector<std::string_view> columns, cells;
  split_cells(header, columns);
  const auto column_of = [&](std::string_view name) {
    return static_cast<std::size_t>(std::find(columns.begin(), columns.end(), name) - columns.begin());
  };
  const std::size_t set = column_of("set"), source = column_of("source");
  const bool has_language =
      std::any_of(columns.begin(), columns.end(), [&](auto c) { return index_of(c).has_value(); });
  if (set == columns.size() || source == columns.size() || !has_language) {
    throw Error(ErrorCode::kBadFile,
                fmt::format("{}:1: expected tab-separated columns set, source and one of [{}], got [{}]",
                            path, fmt::join(languages_, ", "), fmt::join(columns, ", ")));
  }
  while (lines.next()) {
    ++report_.n_lines;
    if (!is_valid(lines)) continue;
    split_cells(lines.line(), cells);
    if (cells.size() != columns.size()) {
      note_invalid(lines, fmt::format("expected {} columns, got {}", columns.size(), cells.size()));
      continue;
    }
    row_.set = cells[set];
    row_.source = cells[source];
    row_.targets.clear();
    for (std::size_t i = 0; i < cells.size(); ++i) {
      if (const auto language = index_of(columns[i])) add_target(*language, cells[i]);
    }
    hand_over();
  }
}

void ParallelReader::read_plain(const DataFile& data) {
  LineReader source(data.source), target(data.target);
  const int language = index_of(data.language).value();
  while (true) {
    const bool has_source = source.next(), has_target = target.next();
    if (has_source != has_target) {
      const std::int64_t n_source = source.count_rest(), n_target = target.count_rest();
      throw Error(ErrorCode::kBadFile, fmt::format("expected as many lines in {} as in {}, got {} and {}",
                                                   data.source, data.target, n_source, n_target));
    }
    if (!has_source) return;
    ++report_.n_lines;
    if (!is_valid(source) || !is_valid(target)) continue;
    row_.set = data.set;
    row_.source = source.line();
    row_.targets.clear();
    add_target(language, target.line());
    hand_over();
  }
}

TextReport ParallelReader::finish() && {
  if (report_.n_invalid * 100 > report_.n_lines) {
    throw Error(
        ErrorCode::kBadFile,
        fmt::format("{} (and {} more; expected at most 1 invalid line in 100, got {} in {})",
                    report_.problems.front(), report_.n_invalid - 1, report_.n_invalid, report_.n_lines));
  }
  return std::move(report_);
}

}  // namespace

TextReport read_parallel_text(std::span<const DataFile> files, const std::vector<std::string>& languages,
                              const std::function<void(const TextRow&)>& on_row) {
  ParallelReader reader(languages, on_row);
  for (const DataFile& data : files) {
    if (data.tsv.empty()) {
      reader.read_plain(data);
    } else {
      reader.read_tsv(data.tsv);
    }
  }
  return std::move(reader).finish();
}

}  // namespace tandem
