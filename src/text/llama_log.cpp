#include "text/llama_log.h"

#include <llama.h>
#include <spdlog/spdlog.h>

#include <mutex>
#include <string>
#include <string_view>

namespace tandem {
namespace {

/// A line may come in several calls (GGML_LOG_LEVEL_CONT), and it ends with a newline. Each thread gathers
/// its own.
void write_line(ggml_log_level level, const char* text, void*) {
  thread_local std::string line;
  thread_local bool is_error = false;
  if (level != GGML_LOG_LEVEL_CONT) {
    is_error = level == GGML_LOG_LEVEL_ERROR;
  }
  for (const char c : std::string_view(text)) {
    if (c != '\n') {
      line += c;
      continue;
    }
    if (!line.empty())
      spdlog::log(is_error ? spdlog::level::warn : spdlog::level::debug, "llama.cpp: {}", line);
    line.clear();
  }
}

}  // namespace

void route_llama_log() {
  static std::once_flag once;
  std::call_once(once, [] { llama_log_set(write_line, nullptr); });
}

}  // namespace tandem
