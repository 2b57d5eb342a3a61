#include "model/family.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "model/config_reader.h"
#include "model/families/gemma2.h"
#include "model/families/gemma3.h"
#include "model/families/llama.h"
#include "model/families/phi3.h"
#include "model/families/qwen2.h"
#include "model/families/qwen3.h"
#include "model/gguf_file.h"
#include "tandem/error.h"

namespace tandem {

namespace {

struct Entry {
  std::string_view architecture;
  ModelConfig (*read_config)(const ConfigReader& reader);
  std::unique_ptr<const Family> (*make)(const ModelConfig& config, WeightLoader& loader);
};

constexpr std::array kFamilies = {
    Entry{"gemma2", read_gemma2_config, make_gemma2}, Entry{"gemma3", read_gemma3_config, make_gemma3},
    Entry{"llama", read_llama_config, make_llama},    Entry{"phi3", read_phi3_config, make_phi3},
    Entry{"qwen2", read_qwen2_config, make_qwen2},    Entry{"qwen3", read_qwen3_config, make_qwen3},
};

const Entry* find(std::string_view architecture) {
  const auto entry = std::find_if(kFamilies.begin(), kFamilies.end(),
                                  [&](const Entry& e) { return e.architecture == architecture; });
  return entry == kFamilies.end() ? nullptr : &*entry;
}

}  // namespace

ModelConfig read_config(const GgufFile& file) {
  const std::string architecture = file.text("general.architecture");
  const Entry* entry = find(architecture);
  if (entry == nullptr) {
    throw Error(ErrorCode::kUnsupported,
                fmt::format("{}: key 'general.architecture': expected one of {}, got '{}'", file.path(),
                            list_families(), architecture));
  }
  return entry->read_config(ConfigReader(file));
}

std::unique_ptr<const Family> make_family(const ModelConfig& config, WeightLoader& loader) {
  const Entry* entry = find(config.architecture);
  TANDEM_CHECK(entry != nullptr);
  return entry->make(config, loader);
}

std::string list_families() {
  std::string list;
  for (const Entry& entry : kFamilies) list.append(list.empty() ? "" : ", ").append(entry.architecture);
  return list;
}

}  // namespace tandem
