#include "text/detokenizer.h"

#include <string_view>
#include <utility>

#include "tandem/error.h"
#include "text/utf8.h"

namespace tandem {

std::string Detokenizer::accept(TokenId id) {
  TANDEM_CHECK(to_int(id) >= 0 && static_cast<std::size_t>(to_int(id)) < bytes_.size());
  const std::string bytes = std::exchange(unfinished_, {}) + bytes_[static_cast<std::size_t>(to_int(id))];
  std::string text;
  for (std::size_t at = 0; at < bytes.size();) {
    const std::string_view rest = std::string_view(bytes).substr(at);
    const Utf8Step step = next_utf8(rest);
    if (step.status == Utf8Status::kUnfinished) unfinished_ = rest;
    if (step.status == Utf8Status::kWhole) {
      at_start_ = at_start_ && step.code_point == U' ';
      if (!at_start_) text += rest.substr(0, step.n_bytes);
    }
    at += step.n_bytes;
  }
  return text;
}

void Detokenizer::finish() {
  unfinished_.clear();
  at_start_ = true;
}

}  // namespace tandem
