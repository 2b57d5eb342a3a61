// From metadata keys to a ModelConfig. Whatever the graph or ggml would trip over later is refused here, with
// the key that says it; so is every key that would change the mathematics in a way that no family here has.
// docs/families.md has the table of keys.
#pragma once

#include <optional>
#include <string>

#include "model/config.h"
#include "model/gguf_file.h"

namespace tandem {

/// What the keys that all families share may say in one of them.
struct FamilyTraits {
  RopePairs rope_pairs = RopePairs::kHalves;
  bool rotates_whole_heads = true;  // rope.dimension_count must be the width of a head
  bool has_long_rope = false;       // rope.scaling.type may be "longrope"
};

/// The keys of one file under its architecture's name: "count" of "block_count" reads "llama.block_count".
/// Errors are Error{kBadFile} naming the key, what was expected, and what was found.
class ConfigReader {
 public:
  explicit ConfigReader(const GgufFile& file);

  const GgufFile& file() const { return file_; }
  std::string key(const std::string& name) const { return architecture_ + "." + name; }

  /// 1 to `most`.
  int count(const std::string& name, int most) const;
  int count_or(const std::string& name, int most, int otherwise) const;
  /// Above 0, at most `most`.
  float positive(const std::string& name, float most) const;
  float positive_or(const std::string& name, float most, float otherwise) const;
  /// The same, and 0 is allowed: it says that there is none.
  float cap_or(const std::string& name, float otherwise) const;

  /// Everything that all families have, attention_scale = 1 / sqrt(head_dim). Also throws
  /// Error{kUnsupported} for experts, scaled RoPE of other kinds, and whatever else no graph here computes.
  ModelConfig shared(const FamilyTraits& traits) const;
  bool has_window() const;
  /// Throws Error{kUnsupported} if the file has a sliding window: the family's graph has none.
  void refuse_window() const;
  /// The sliding window: every `pattern`-th layer has none, unless the file says otherwise.
  void read_window(ModelConfig& config, int window, int pattern, RopeSpeed speed) const;

  [[noreturn]] void refuse(const std::string& name, const std::string& expected,
                           const std::string& got) const;

 private:
  void refuse_unsupported(const FamilyTraits& traits) const;
  void read_heads(ModelConfig& config) const;
  void read_rope(ModelConfig& config, const FamilyTraits& traits) const;
  void read_vocabulary(ModelConfig& config) const;

  const GgufFile& file_;
  std::string architecture_;
};

}  // namespace tandem
