#include "model/weight_types.h"

#include <ggml.h>

#include <algorithm>
#include <array>
#include <cctype>

namespace tandem {

namespace {

// Types with both a product and a way back to f32 in ggml's CPU backend.
constexpr std::array kWeightTypes = {
    GGML_TYPE_F32,  GGML_TYPE_F16,  GGML_TYPE_BF16, GGML_TYPE_Q8_0,   GGML_TYPE_Q6_K,
    GGML_TYPE_Q5_K, GGML_TYPE_Q4_K, GGML_TYPE_Q3_K, GGML_TYPE_Q2_K,   GGML_TYPE_Q5_1,
    GGML_TYPE_Q5_0, GGML_TYPE_Q4_1, GGML_TYPE_Q4_0, GGML_TYPE_IQ4_NL, GGML_TYPE_IQ4_XS,
};

std::string lower_case(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return lower;
}

}  // namespace

bool is_weight_type(int type) {
  return std::find(kWeightTypes.begin(), kWeightTypes.end(), type) != kWeightTypes.end();
}

std::optional<int> find_weight_type(std::string_view name) {
  const std::string wanted = lower_case(name);
  for (const ggml_type type : kWeightTypes) {
    if (wanted == type_name(type)) return type;
  }
  return std::nullopt;
}

std::string list_weight_types() {
  std::string list;
  for (const ggml_type type : kWeightTypes) list += (list.empty() ? "" : ", ") + type_name(type);
  return list;
}

std::string type_name(int type) {
  return lower_case(ggml_type_name(static_cast<ggml_type>(type)));
}

}  // namespace tandem
