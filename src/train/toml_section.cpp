#include "train/toml_section.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <sstream>

#include "tandem/error.h"

namespace tandem {

int edit_distance(std::string_view a, std::string_view b) {
  std::vector<int> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = static_cast<int>(j);
  for (std::size_t i = 1; i <= a.size(); ++i) {
    int diagonal = row[0];
    row[0] = static_cast<int>(i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const int substituted = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substituted});
    }
  }
  return row[b.size()];
}

std::string nearest_word(std::string_view word, const std::vector<std::string>& known) {
  const auto nearest = std::min_element(known.begin(), known.end(), [&](const auto& a, const auto& b) {
    return edit_distance(word, a) < edit_distance(word, b);
  });
  return nearest == known.end() ? std::string() : *nearest;
}

std::string describe_node(const toml::node& node) {
  std::ostringstream out;
  out << node.type();
  std::string type = out.str();
  if (const auto* text = node.as_string()) return fmt::format("{} \"{}\"", type, text->get());
  if (const auto* number = node.as_integer()) return fmt::format("{} {}", type, number->get());
  if (const auto* real = node.as_floating_point()) return fmt::format("{} {}", type, real->get());
  if (const auto* truth = node.as_boolean()) return fmt::format("{} {}", type, truth->get());
  return type;
}

TomlSection::TomlSection(std::string file, std::string name, const toml::table& table)
    : file_(std::move(file)), name_(std::move(name)), table_(table) {}

const toml::node* TomlSection::find(const std::string& key) {
  if (std::find(known_.begin(), known_.end(), key) == known_.end()) known_.push_back(key);
  return table_.get(key);
}

void TomlSection::fail(const std::string& key, const std::string& message) const {
  const toml::node* node = table_.get(key);
  fail(node != nullptr ? *node : table_, key, message);
}

void TomlSection::fail(const toml::node& node, const std::string& key, const std::string& message) const {
  const auto line = node.source().begin.line;
  const std::string where = line > 0 ? fmt::format("{}:{}", file_, line) : file_;
  const std::string section = name_.empty() ? std::string() : fmt::format("[{}] ", name_);
  throw Error(ErrorCode::kInvalidArgument, fmt::format("{}: {}{}: {}", where, section, key, message));
}

void TomlSection::read_integer(const std::string& key, std::int64_t& value, std::int64_t low,
                               std::int64_t high) {
  const toml::node* node = find(key);
  if (node == nullptr) return;
  const auto* number = node->as_integer();
  if (number == nullptr || number->get() < low || number->get() > high) {
    fail(*node, key,
         fmt::format("expected an integer from {} to {}, got {}", low, high, describe_node(*node)));
  }
  value = number->get();
}

void TomlSection::read_integer(const std::string& key, int& value, int low, int high) {
  std::int64_t wide = value;
  read_integer(key, wide, low, high);
  value = static_cast<int>(wide);
}

namespace {

/// A number of either kind: "phi = 0" is as good as "phi = 0.0".
bool number_between(const toml::node& node, double low, double high, double& value) {
  const auto* integer = node.as_integer();
  const auto* real = node.as_floating_point();
  if (integer == nullptr && real == nullptr) return false;
  const double number = integer != nullptr ? static_cast<double>(integer->get()) : real->get();
  if (!(number >= low && number <= high)) return false;  // false for NaN
  value = number;
  return true;
}

std::string expected_number(double low, double high, const toml::node& got) {
  return fmt::format("expected a number from {} to {}, got {}", low, high, describe_node(got));
}

}  // namespace

void TomlSection::read_real(const std::string& key, double& value, double low, double high) {
  const toml::node* node = find(key);
  if (node == nullptr) return;
  if (!number_between(*node, low, high, value)) fail(*node, key, expected_number(low, high, *node));
}

void TomlSection::read_flag(const std::string& key, bool& value) {
  const toml::node* node = find(key);
  if (node == nullptr) return;
  const auto* flag = node->as_boolean();
  if (flag == nullptr) fail(*node, key, fmt::format("expected true or false, got {}", describe_node(*node)));
  value = flag->get();
}

void TomlSection::read_text(const std::string& key, std::string& value) {
  const toml::node* node = find(key);
  if (node == nullptr) return;
  const auto* text = node->as_string();
  if (text == nullptr) fail(*node, key, fmt::format("expected a string, got {}", describe_node(*node)));
  value = text->get();
}

void TomlSection::read_texts(const std::string& key, std::vector<std::string>& values) {
  const toml::node* node = find(key);
  if (node == nullptr) return;
  const auto* array = node->as_array();
  if (array == nullptr)
    fail(*node, key, fmt::format("expected an array of strings, got {}", describe_node(*node)));
  values.clear();
  for (const toml::node& item : *array) {
    const auto* text = item.as_string();
    if (text == nullptr) fail(item, key, fmt::format("expected a string, got {}", describe_node(item)));
    values.push_back(text->get());
  }
}

void TomlSection::read_text_table(const std::string& key,
                                  std::vector<std::pair<std::string, std::string>>& values) {
  const toml::node* node = find(key);
  if (node == nullptr) return;
  const auto* table = node->as_table();
  if (table == nullptr) fail(*node, key, fmt::format("expected a table, got {}", describe_node(*node)));
  values.clear();
  for (const auto& [name, item] : *table) {
    const auto* text = item.as_string();
    const std::string path = fmt::format("{}.{}", key, name.str());
    if (text == nullptr) fail(item, path, fmt::format("expected a string, got {}", describe_node(item)));
    values.emplace_back(std::string(name.str()), text->get());
  }
}

void TomlSection::read_real_table(const std::string& key, std::vector<std::pair<std::string, double>>& values,
                                  double low, double high) {
  const toml::node* node = find(key);
  if (node == nullptr) return;
  const auto* table = node->as_table();
  if (table == nullptr) fail(*node, key, fmt::format("expected a table, got {}", describe_node(*node)));
  values.clear();
  for (const auto& [name, item] : *table) {
    double value = 0;
    const std::string path = fmt::format("{}.{}", key, name.str());
    if (!number_between(item, low, high, value)) fail(item, path, expected_number(low, high, item));
    values.emplace_back(std::string(name.str()), value);
  }
}

std::size_t TomlSection::read_choice_index(const std::string& key, const std::vector<std::string>& names) {
  const toml::node* node = find(key);
  if (node == nullptr) return names.size();
  const auto* text = node->as_string();
  const auto chosen = text == nullptr ? names.end() : std::find(names.begin(), names.end(), text->get());
  if (chosen == names.end()) {
    fail(*node, key,
         fmt::format("expected one of \"{}\", got {}", fmt::join(names, "\", \""), describe_node(*node)));
  }
  return static_cast<std::size_t>(chosen - names.begin());
}

void TomlSection::reject_unknown() const {
  for (const auto& [name, node] : table_) {
    const std::string key(name.str());
    if (std::find(known_.begin(), known_.end(), key) != known_.end()) continue;
    const char* kind = name_.empty() ? "section" : "key";
    fail(node, key,
         fmt::format("unknown {}; the nearest known one is \"{}\"", kind, nearest_word(key, known_)));
  }
}

}  // namespace tandem
