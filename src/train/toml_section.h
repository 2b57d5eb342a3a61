// A section of a TOML file, read key by key. Asking for a key is what makes it known: what nobody asked for
// is an error that names the nearest key that was, so there is no second list of keys to keep.
#pragma once

#include <toml++/toml.h>

#include <initializer_list>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tandem {

/// How many single-character insertions, deletions and substitutions lie between two words.
int edit_distance(std::string_view a, std::string_view b);

/// The known word that is nearest to `word`; empty if there is none.
std::string nearest_word(std::string_view word, const std::vector<std::string>& known);

class TomlSection {
 public:
  /// Reads keys of `table`, which is section `name` of `file`; both must outlive the reader.
  TomlSection(std::string file, std::string name, const toml::table& table);

  /// The node of `key`, or null. `key` is known from now on.
  const toml::node* find(const std::string& key);
  bool has(const std::string& key) { return find(key) != nullptr; }

  // Each leaves `value` as it is when the key is absent, and throws when it has another type or lies outside
  // the closed range.
  void read_integer(const std::string& key, std::int64_t& value, std::int64_t low, std::int64_t high);
  void read_integer(const std::string& key, int& value, int low, int high);
  void read_real(const std::string& key, double& value, double low, double high);
  void read_flag(const std::string& key, bool& value);
  void read_text(const std::string& key, std::string& value);
  void read_texts(const std::string& key, std::vector<std::string>& values);
  /// A table with free keys, in the order of the keys.
  void read_text_table(const std::string& key, std::vector<std::pair<std::string, std::string>>& values);
  void read_real_table(const std::string& key, std::vector<std::pair<std::string, double>>& values,
                       double low, double high);
  /// A word that stands for a value of an enum.
  template <class Enum>
  void read_choice(const std::string& key, Enum& value,
                   std::initializer_list<std::pair<std::string_view, Enum>> choices) {
    std::vector<std::string> names;
    for (const auto& [name, choice] : choices) names.emplace_back(name);
    const std::size_t index = read_choice_index(key, names);
    if (index < choices.size()) value = (choices.begin() + index)->second;
  }

  /// Throws for a key that nobody asked for.
  void reject_unknown() const;

  /// Throws Error{kInvalidArgument}: "file:line: [section] key: message". The line is the key's if it is
  /// there, else the section's.
  [[noreturn]] void fail(const std::string& key, const std::string& message) const;
  [[noreturn]] void fail(const toml::node& node, const std::string& key, const std::string& message) const;

 private:
  std::size_t read_choice_index(const std::string& key, const std::vector<std::string>& names);

  std::string file_;
  std::string name_;
  const toml::table& table_;
  std::vector<std::string> known_;
};

/// What a node is, for "got ...": its type and, for a plain value, the value.
std::string describe_node(const toml::node& node);

}  // namespace tandem
