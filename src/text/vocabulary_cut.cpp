#include "text/vocabulary_cut.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <limits>
#include <numeric>
#include <optional>
#include <string>
#include <unordered_map>

#include "tandem/error.h"
#include "text/spelling.h"
#include "text/utf8.h"

namespace tandem {
namespace {

// Types of tokenizer.ggml.token_type.
constexpr int kUnknownType = 2, kControlType = 3, kUserDefinedType = 4;

std::size_t index_of(TokenId id) {
  return static_cast<std::size_t>(to_int(id));
}

std::vector<std::string_view> split_code_points(std::string_view text) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    const std::size_t n = next_utf8(text).n_bytes;
    parts.push_back(text.substr(0, n));
    text.remove_prefix(n);
  }
  return parts;
}

/// Rows that a tokenizer holds in reserve, by the names that the families give them.
bool is_spare(std::string_view name) {
  constexpr std::array<std::string_view, 7> kPrefixes = {
      "<unused", "[PAD", "<|reserved_", "<|placeholder", "<reserved", "[unused", "<|dummy_"};
  const bool has_number =
      std::any_of(name.begin(), name.end(), [](unsigned char c) { return std::isdigit(c) != 0; });
  return has_number && std::any_of(kPrefixes.begin(), kPrefixes.end(),
                                   [&](std::string_view prefix) { return name.starts_with(prefix); });
}

bool is_special(const TokenizerTables& tables, std::size_t id) {
  if (tables.types.empty()) return false;
  const int type = tables.types[id];
  return type == kUnknownType || type == kControlType || type == kUserDefinedType;
}

/// What libllama takes for a special id where the file has no such key.
struct DefaultId {
  std::string_view model;
  std::string_view key;
  int id;
};
constexpr std::array kDefaultIds = {DefaultId{"llama", "tokenizer.ggml.bos_token_id", 1},
                                    DefaultId{"llama", "tokenizer.ggml.eos_token_id", 2},
                                    DefaultId{"llama", "tokenizer.ggml.unknown_token_id", 0},
                                    DefaultId{"gpt2", "tokenizer.ggml.bos_token_id", 11},
                                    DefaultId{"gpt2", "tokenizer.ggml.eos_token_id", 11}};

/// The special ids of the file and those that libllama adds.
std::vector<std::pair<std::string, long long>> all_special_ids(const TokenizerTables& tables) {
  std::vector<std::pair<std::string, long long>> ids = tables.special_ids;
  for (const DefaultId& assumed : kDefaultIds) {
    if (assumed.model != tables.model || static_cast<std::size_t>(assumed.id) >= tables.pieces.size())
      continue;
    const bool is_there =
        std::any_of(ids.begin(), ids.end(), [&](const auto& entry) { return entry.first == assumed.key; });
    if (!is_there) ids.emplace_back(assumed.key, assumed.id);
  }
  return ids;
}

/// A growing set of ids. A piece of text enters with the steps towards it; special tokens and names of bytes
/// are found as a whole, not by merging.
class Selection {
 public:
  Selection(const TokenizerTables& tables, const Vocabulary& vocabulary)
      : tables_(tables), vocabulary_(vocabulary), steps_(tables), is_kept_(tables.pieces.size()) {}

  void add(TokenId id) {
    for (const TokenId step : missing(id)) {
      is_kept_[index_of(step)] = true;
      ++n_kept_;
    }
  }

  /// Adds the piece unless there would be more than `n_most` then.
  void add_within(TokenId id, std::size_t n_most) {
    if (n_kept_ + missing(id).size() <= n_most) add(id);
  }

  std::size_t size() const { return n_kept_; }

  std::vector<TokenId> ids() const {
    std::vector<TokenId> ids;
    ids.reserve(n_kept_);
    for (std::size_t id = 0; id < is_kept_.size(); ++id) {
      if (is_kept_[id]) ids.push_back(TokenId{static_cast<std::int32_t>(id)});
    }
    return ids;
  }

 private:
  std::vector<TokenId> missing(TokenId id) const {
    if (is_kept_[index_of(id)]) return {};
    if (is_special(tables_, index_of(id)) || vocabulary_.piece(id).is_byte_name) return {id};
    std::vector<TokenId> steps = steps_.toward(id);
    std::erase_if(steps, [&](TokenId step) { return is_kept_[index_of(step)]; });
    return steps;
  }

  const TokenizerTables& tables_;
  const Vocabulary& vocabulary_;
  MergeSteps steps_;
  std::vector<bool> is_kept_;
  std::size_t n_kept_ = 0;
};

}  // namespace

struct MergeSteps::Impl {
  explicit Impl(const TokenizerTables& t) : tables(t), by_score(t.model == "llama") {
    ids.reserve(t.pieces.size());
    for (std::size_t id = 0; id < t.pieces.size(); ++id) ids.emplace(t.pieces[id], static_cast<int>(id));
    for (std::size_t rank = 0; rank < t.merges.size(); ++rank) ranks.emplace(t.merges[rank], rank);
  }

  std::optional<TokenId> find(std::string_view text) const {
    const auto found = ids.find(text);
    if (found == ids.end()) return std::nullopt;
    return TokenId{found->second};
  }

  /// How early a merge comes, smaller first; nothing if there is none of this pair. `joined` is both in one.
  std::optional<double> order_of(std::string_view left, std::string_view right,
                                 std::string_view joined) const {
    if (!by_score) {
      const auto found = ranks.find(fmt::format("{} {}", left, right));
      if (found == ranks.end()) return std::nullopt;
      return static_cast<double>(found->second);
    }
    const auto id = find(joined);
    if (!id) return std::nullopt;
    return tables.scores.empty() ? 0.0 : -double{tables.scores[index_of(*id)]};
  }

  const TokenizerTables& tables;
  bool by_score;
  std::unordered_map<std::string_view, int> ids;
  std::unordered_map<std::string_view, std::size_t> ranks;
};

MergeSteps::MergeSteps(const TokenizerTables& tables) : impl_(std::make_unique<const Impl>(tables)) {}
MergeSteps::~MergeSteps() = default;

std::vector<TokenId> MergeSteps::toward(TokenId id) const {
  std::vector<TokenId> met = {id};
  const auto meet = [&](std::string_view text) {
    const auto step = impl_->find(text);
    if (step && std::find(met.begin(), met.end(), *step) == met.end()) met.push_back(*step);
  };
  std::vector<std::string_view> symbols = split_code_points(impl_->tables.pieces[index_of(id)]);
  for (const std::string_view symbol : symbols) meet(symbol);
  const auto joined = [&](std::size_t i) {
    return std::string_view(symbols[i].data(), symbols[i].size() + symbols[i + 1].size());
  };
  for (;;) {
    double first = std::numeric_limits<double>::infinity();
    std::size_t at = symbols.size();
    for (std::size_t i = 0; i + 1 < symbols.size(); ++i) {
      const auto order = impl_->order_of(symbols[i], symbols[i + 1], joined(i));
      if (order && *order < first) {  // of equals the leftmost
        first = *order;
        at = i;
      }
    }
    if (at == symbols.size()) return met;
    symbols[at] = joined(at);
    symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(at) + 1);
    meet(symbols[at]);
  }
}

std::vector<TokenId> choose_cut(const TokenizerTables& tables, const Vocabulary& vocabulary,
                                std::span<const std::int64_t> counts, const CutOptions& options) {
  Selection selection(tables, vocabulary);
  for (const TokenId id : choose_kept_ids(counts, 0, vocabulary, options.always)) selection.add(id);
  for (std::size_t id = 0; id < tables.pieces.size(); ++id) {
    if (is_special(tables, id) && !is_spare(tables.pieces[id])) {
      selection.add(TokenId{static_cast<std::int32_t>(id)});
    }
  }
  for (const auto& [key, id] : all_special_ids(tables)) selection.add(TokenId{static_cast<std::int32_t>(id)});
  const std::size_t n_most = options.n_most == 0 ? tables.pieces.size() : options.n_most;
  if (selection.size() > n_most) {
    throw Error(
        ErrorCode::kInvalidArgument,
        fmt::format("size of the vocabulary: expected at least {}, which special tokens, bytes and the "
                    "characters of the texts take, got {}",
                    selection.size(), n_most));
  }
  std::vector<std::size_t> used(counts.size());
  std::iota(used.begin(), used.end(), std::size_t{0});
  std::erase_if(used, [&](std::size_t id) { return counts[id] <= 0; });
  std::stable_sort(used.begin(), used.end(),
                   [&](std::size_t a, std::size_t b) { return counts[a] > counts[b]; });
  for (const std::size_t id : used) selection.add_within(TokenId{static_cast<std::int32_t>(id)}, n_most);
  return selection.ids();
}

TokenizerTables cut_tables(const TokenizerTables& tables, std::span<const TokenId> kept) {
  TokenizerTables cut;
  cut.model = tables.model;
  cut.pre = tables.pre;
  cut.add_space_prefix = tables.add_space_prefix;
  std::unordered_map<std::string_view, int> new_ids;  // by the piece's text
  for (const TokenId id : kept) {
    new_ids.emplace(tables.pieces[index_of(id)], static_cast<int>(cut.pieces.size()));
    cut.pieces.push_back(tables.pieces[index_of(id)]);
    if (!tables.scores.empty()) cut.scores.push_back(tables.scores[index_of(id)]);
    if (!tables.types.empty()) cut.types.push_back(tables.types[index_of(id)]);
  }
  for (const std::string& merge : tables.merges) {
    const std::size_t space = merge.find(' ', 1);
    const std::string_view left = std::string_view(merge).substr(0, space);
    const std::string_view right = std::string_view(merge).substr(space + 1);
    if (new_ids.contains(left) && new_ids.contains(right) &&
        new_ids.contains(fmt::format("{}{}", left, right))) {
      cut.merges.push_back(merge);
    }
  }
  if (cut.merges.empty() && !tables.merges.empty()) {
    throw Error(ErrorCode::kInvalidArgument,
                "vocabulary: expected texts that need at least one merge, got none left");
  }
  for (const auto& [key, id] : all_special_ids(tables)) {
    const auto found = new_ids.find(tables.pieces[static_cast<std::size_t>(id)]);
    if (found == new_ids.end()) {
      throw Error(ErrorCode::kInvalidArgument,
                  fmt::format("vocabulary: {}: expected its piece to be kept", key));
    }
    cut.special_ids.emplace_back(key, found->second);
  }
  return cut;
}

}  // namespace tandem
