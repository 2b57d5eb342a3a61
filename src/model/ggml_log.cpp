#include "model/ggml_log.h"

#include <ggml.h>

#include <mutex>
#include <string_view>

#include "text/llama_log.h"

namespace tandem {

namespace {

thread_local GgmlErrorCapture* current_capture = nullptr;

ggml_log_callback next_callback = nullptr;
void* next_callback_data = nullptr;

/// "gguf_init_from_reader: the reason\n" -> "the reason": our message says where already.
std::string_view bare_reason(std::string_view line) {
  while (!line.empty() && line.back() == '\n') line.remove_suffix(1);
  const std::size_t colon = line.find(": ");
  return colon == std::string_view::npos ? line : line.substr(colon + 2);
}

}  // namespace

bool capture(int level, const char* text) {
  if (current_capture == nullptr || level != GGML_LOG_LEVEL_ERROR) return false;
  if (current_capture->first_.empty()) current_capture->first_ = bare_reason(text);
  return true;
}

void route_ggml_log() {
  static std::once_flag once;
  std::call_once(once, [] {
    route_llama_log();
    ggml_log_get(&next_callback, &next_callback_data);
    ggml_log_set(
        [](ggml_log_level level, const char* text, void*) {
          if (!capture(level, text)) next_callback(level, text, next_callback_data);
        },
        nullptr);
  });
}

GgmlErrorCapture::GgmlErrorCapture() : outer_(current_capture) {
  route_ggml_log();
  current_capture = this;
}

GgmlErrorCapture::~GgmlErrorCapture() {
  current_capture = outer_;
}

std::string GgmlErrorCapture::first() const {
  return first_.empty() ? "no reason given" : first_;
}

}  // namespace tandem
