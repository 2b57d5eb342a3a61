#include "model/lora_file.h"

#include <fmt/core.h>

#include <cmath>
#include <map>

#include "model/weight_types.h"
#include "tandem/error.h"

namespace tandem {

namespace {

constexpr std::string_view kSuffixA = ".lora_a";
constexpr std::string_view kSuffixB = ".lora_b";

void require_text(const GgufFile& file, const char* key, std::string_view expected) {
  const std::string got = file.text(key);
  if (got != expected) file.fail(fmt::format("key '{}': expected '{}', got '{}'", key, expected, got));
}

float read_alpha(const GgufFile& file) {
  const float alpha = file.find_real("adapter.lora.alpha").value_or(0.0F);
  if (!std::isfinite(alpha))
    file.fail(fmt::format("key 'adapter.lora.alpha': expected a finite number, got {}", alpha));
  return alpha;
}

void check_tensor(const GgufFile& file, const StoredTensor& tensor) {
  if (tensor.n_dims > 2)
    file.fail(fmt::format("tensor '{}': expected a matrix, got {} dimensions", tensor.name, tensor.n_dims));
  if (is_weight_type(tensor.type)) return;
  throw Error(ErrorCode::kUnsupported, fmt::format("{}: tensor '{}': expected one of {}, got {}", file.path(),
                                                   tensor.name, list_weight_types(), type_name(tensor.type)));
}

std::map<std::string, LoraPair> collect_pairs(const GgufFile& file) {
  std::map<std::string, LoraPair> pairs;
  for (const StoredTensor& tensor : file.tensors()) {
    const std::string_view name = tensor.name;
    const bool is_a = name.ends_with(kSuffixA);
    if (!is_a && !name.ends_with(kSuffixB)) {
      // libllama passes over norms without a word: the answers would not be those that were trained.
      throw Error(ErrorCode::kUnsupported,
                  fmt::format("{}: tensor '{}': expected a name that ends in {} or {}", file.path(), name,
                              kSuffixA, kSuffixB));
    }
    check_tensor(file, tensor);
    const std::string target(name.substr(0, name.size() - kSuffixA.size()));
    (is_a ? pairs[target].a : pairs[target].b) = &tensor;
  }
  return pairs;
}

void check_pair(const GgufFile& file, const std::string& target, const LoraPair& pair) {
  if (pair.a == nullptr || pair.b == nullptr) {
    file.fail(fmt::format("tensor '{}{}' is missing: expected both halves of '{}'", target,
                          pair.a == nullptr ? kSuffixA : kSuffixB, target));
  }
  if (pair.a->shape[1] == pair.b->shape[0]) return;
  file.fail(fmt::format("tensor '{}': expected rows of the rank of its other half, {}, got {}", pair.b->name,
                        pair.a->shape[1], pair.b->shape[0]));
}

}  // namespace

bool is_adapter(const GgufFile& file) {
  return file.find_text("general.type").value_or("") == "adapter";
}

LoraFile read_lora(const GgufFile& file) {
  require_text(file, "general.type", "adapter");
  require_text(file, "adapter.type", "lora");
  if (file.is_array("adapter.alora.invocation_tokens")) {
    throw Error(ErrorCode::kUnsupported,
                fmt::format("{}: key 'adapter.alora.invocation_tokens': expected no such key, an adapter "
                            "that is always on",
                            file.path()));
  }
  LoraFile lora;
  lora.architecture = file.text("general.architecture");
  lora.alpha = read_alpha(file);
  for (auto& [target, pair] : collect_pairs(file)) {
    check_pair(file, target, pair);
    pair.target = target;
    pair.scale = lora.alpha == 0.0F ? 1.0F : lora.alpha / static_cast<float>(pair.rank());
    lora.pairs.push_back(pair);
  }
  if (lora.pairs.empty()) file.fail("expected at least one pair of lora_a and lora_b, got no tensors");
  return lora;
}

void check_fits(const LoraFile& lora, const GgufFile& file, const GgufFile& base) {
  if (const std::string architecture = base.text("general.architecture"); lora.architecture != architecture) {
    file.fail(fmt::format("key 'general.architecture': expected '{}', that of {}, got '{}'", architecture,
                          base.path(), lora.architecture));
  }
  for (const LoraPair& pair : lora.pairs) {
    if (pair.target == "token_embd.weight") {
      throw Error(
          ErrorCode::kUnsupported,
          fmt::format("{}: tensor '{}': expected targets that are multiplied with, got the embeddings",
                      file.path(), pair.a->name));
    }
    const StoredTensor* target = base.find_tensor(pair.target);
    if (target == nullptr)
      file.fail(fmt::format("tensor '{}': {} has no '{}'", pair.a->name, base.path(), pair.target));
    const bool fits =
        target->n_dims == 2 && pair.a->shape[0] == target->shape[0] && pair.b->shape[1] == target->shape[1];
    if (fits) continue;
    file.fail(fmt::format("tensors '{}', '{}': expected a product of {} x {}, as in {}, got {} x {}",
                          pair.a->name, pair.b->name, target->shape[0], target->shape[1], base.path(),
                          pair.a->shape[0], pair.b->shape[1]));
  }
}

}  // namespace tandem
