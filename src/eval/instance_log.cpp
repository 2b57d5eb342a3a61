#include "eval/instance_log.h"

#include <fmt/format.h>

#include <boost/json.hpp>
#include <cmath>
#include <fstream>
#include <set>
#include <utility>

#include "tandem/error.h"

namespace tandem {
namespace {

namespace json = boost::json;

// Writing. By hand where numbers are concerned: Boost.JSON would write 600.0 as 6E2.

enum class NumberForm { kCount, kMilliseconds };

std::string number(std::string_view key, double value, NumberForm form) {
  if (!std::isfinite(value)) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("instances.log: expected a finite number for \"{}\", got {}", key, value));
  }
  return form == NumberForm::kCount ? fmt::format("{}", value) : fmt::format("{:#}", value);
}

std::string array(std::string_view key, std::span<const double> values, NumberForm form) {
  std::string out;
  for (const double value : values) {
    if (!out.empty()) out += ", ";
    out += number(key, value, form);
  }
  return fmt::format("[{}]", out);
}

std::string quoted(const std::string& text) {
  return json::serialize(json::string(text));
}

std::string source_json(const Instance& instance) {
  if (const auto* text = std::get_if<std::string>(&instance.source)) return quoted(*text);
  std::string out;
  for (const std::string& line : std::get<std::vector<std::string>>(instance.source)) {
    if (!out.empty()) out += ", ";
    out += quoted(line);
  }
  return fmt::format("[{}]", out);
}

std::ofstream open_to_write(const std::filesystem::path& path) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  if (!out) throw Error(ErrorCode::kIo, path.string() + ": cannot be written");
  return out;
}

void close_written(std::ofstream& out, const std::filesystem::path& path) {
  out.close();
  if (!out) throw Error(ErrorCode::kIo, path.string() + ": could not be written whole; is the disk full?");
}

// Reading.

/// A JSON object together with its place, so that every complaint says where, what was expected and what was
/// found.
class LineReader {
 public:
  LineReader(std::string_view line, std::string_view where) : where_(where) {
    json::error_code error;
    const json::value parsed = json::parse(json::string_view(line.data(), line.size()), error);
    if (error) fail("one JSON object", fmt::format("text that is no JSON ({})", error.message()));
    if (!parsed.is_object()) fail("one JSON object", kind_of(parsed));
    object_ = parsed.as_object();
  }

  /// Null and missing are the same.
  const json::value* find(std::string_view key) const {
    const json::value* value = object_.if_contains(json::string_view(key.data(), key.size()));
    return value == nullptr || value->is_null() ? nullptr : value;
  }

  const json::value& need(std::string_view key, std::string_view expected) const {
    const json::value* value = find(key);
    if (value == nullptr) fail(fmt::format("\"{}\", {}", key, expected), "none");
    return *value;
  }

  std::string text(std::string_view key, const json::value& value) const {
    if (!value.is_string()) fail(fmt::format("\"{}\" to be a string", key), kind_of(value));
    return {value.as_string().begin(), value.as_string().end()};
  }

  double time(std::string_view key, const json::value& value) const {
    if (!value.is_number()) fail(fmt::format("\"{}\" to be a number", key), kind_of(value));
    const double found = value.to_number<double>();
    if (!std::isfinite(found) || found < 0) {
      fail(fmt::format("\"{}\" to be finite and not negative", key), fmt::format("{}", found));
    }
    return found;
  }

  std::vector<double> times(std::string_view key, const json::value& value) const {
    if (!value.is_array()) fail(fmt::format("\"{}\" to be an array of numbers", key), kind_of(value));
    std::vector<double> out;
    for (const json::value& element : value.as_array()) out.push_back(time(key, element));
    return out;
  }

  std::int64_t index() const {
    const json::value& value = need("index", "a whole number");
    if (!value.is_int64() || value.as_int64() < 0)
      fail("\"index\" to be a whole number from 0", kind_of(value));
    return value.as_int64();
  }

  std::variant<std::string, std::vector<std::string>> source() const {
    const json::value* value = find("source");
    if (value == nullptr) return std::string();
    if (!value->is_array()) return text("source", *value);
    std::vector<std::string> lines;
    for (const json::value& line : value->as_array()) lines.push_back(text("source", line));
    return lines;
  }

  [[noreturn]] void fail(std::string_view expected, std::string_view got) const {
    throw Error(ErrorCode::kBadFile, fmt::format("{}: expected {}, got {}", where_, expected, got));
  }

 private:
  static std::string kind_of(const json::value& value) {
    if (value.is_array()) return "an array";
    if (value.is_object()) return "an object";
    if (value.is_string()) return "a string";
    return json::serialize(value);  // a number, true, false, null: as it stands
  }

  std::string where_;
  json::object object_;
};

void check_lengths(const LineReader& line, const Instance& instance) {
  if (!instance.elapsed.empty() && instance.elapsed.size() != instance.delays.size()) {
    line.fail(fmt::format("{} elapsed times, one per delay", instance.delays.size()),
              fmt::format("{}", instance.elapsed.size()));
  }
  const json::value* length = line.find("prediction_length");
  if (length != nullptr &&
      line.time("prediction_length", *length) != static_cast<double>(instance.delays.size())) {
    line.fail(fmt::format("\"prediction_length\" {}, the number of delays", instance.delays.size()),
              json::serialize(*length));
  }
}

// "{:.3f}" without the zeros at its end, but for one digit: 76.106, 2.6, 570.0.
std::string three_decimals(double value) {
  std::string text = fmt::format("{:.3f}", value);
  while (text.back() == '0' && text[text.size() - 2] != '.') text.pop_back();
  return text;
}

}  // namespace

std::string to_log_line(const Instance& instance) {
  if (!instance.elapsed.empty() && instance.elapsed.size() != instance.delays.size()) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("instances.log: expected {} elapsed times, one per delay, got {}",
                            instance.delays.size(), instance.elapsed.size()));
  }
  const NumberForm form =
      instance.source_kind() == SourceKind::kText ? NumberForm::kCount : NumberForm::kMilliseconds;
  return fmt::format(
      R"({{"index": {}, "prediction": {}, "delays": {}, "elapsed": {}, "prediction_length": {}, )"
      R"("reference": {}, "source": {}, "source_length": {}}})",
      instance.index, quoted(instance.prediction), array("delays", instance.delays, form),
      array("elapsed", instance.elapsed, form), instance.delays.size(),
      instance.reference ? quoted(*instance.reference) : "null", source_json(instance),
      number("source_length", instance.source_length, form));
}

Instance from_log_line(std::string_view text, std::string_view where) {
  const LineReader line(text, where);
  Instance instance;
  instance.index = line.index();
  instance.prediction = line.text("prediction", line.need("prediction", "a string"));
  instance.delays = line.times("delays", line.need("delays", "an array of numbers"));
  if (const json::value* elapsed = line.find("elapsed")) instance.elapsed = line.times("elapsed", *elapsed);
  if (const json::value* reference = line.find("reference")) {
    instance.reference = line.text("reference", *reference);
  }
  instance.source = line.source();
  instance.source_length = line.time("source_length", line.need("source_length", "a number"));
  check_lengths(line, instance);
  return instance;
}

void write_instances_log(const std::filesystem::path& path, std::span<const Instance> instances) {
  std::ofstream out = open_to_write(path);
  for (const Instance& instance : instances) out << to_log_line(instance) << '\n';
  close_written(out, path);
}

std::vector<Instance> read_instances_log(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in)
    throw Error(ErrorCode::kNotFound, path.string() + ": expected an instances.log, got no readable file");
  std::vector<Instance> instances;
  std::set<std::int64_t> indices;
  std::string line;
  for (int line_number = 1; std::getline(in, line); ++line_number) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    const std::string where = fmt::format("{}:{}", path.string(), line_number);
    Instance instance = from_log_line(line, where);
    if (!indices.insert(instance.index).second) {
      throw Error(ErrorCode::kBadFile,
                  fmt::format("{}: expected an index of its own, got {} again", where, instance.index));
    }
    instances.push_back(std::move(instance));
  }
  return instances;
}

void write_scores_tsv(const std::filesystem::path& path, std::span<const NamedScore> scores) {
  std::string names;
  std::string values;
  for (const NamedScore& score : scores) {
    if (!std::isfinite(score.value)) {
      throw Error(ErrorCode::kInvalidArgument,
                  fmt::format("{}: expected a finite {}, got {}", path.string(), score.name, score.value));
    }
    const std::string_view separator = names.empty() ? "" : "\t";
    names.append(separator).append(score.name);
    values.append(separator).append(three_decimals(score.value));
  }
  std::ofstream out = open_to_write(path);
  out << names << '\n' << values << '\n';
  close_written(out, path);
}

void write_config_yaml(const std::filesystem::path& path, SourceKind source) {
  std::ofstream out = open_to_write(path);
  out << "source_type: " << (source == SourceKind::kText ? "text" : "speech") << "\ntarget_type: text\n";
  close_written(out, path);
}

}  // namespace tandem
