// The one table of tensor types: which may be weights, and by what names options and messages call them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace tandem {

/// Whether matrices of this ggml_type can be multiplied with and looked up in.
bool is_weight_type(int type);

/// ggml_type of a name such as "q8_0" or "Q4_K"; nothing for names that are no weight type.
std::optional<int> find_weight_type(std::string_view name);

/// "f32, f16, bf16, ...": for messages and help.
std::string list_weight_types();

/// ggml's name of any type that a file may hold.
std::string type_name(int type);

}  // namespace tandem
