// ggml's reasons for refusing a file, caught for the Error instead of the log.
//
// ggml has one log callback for the process. text/llama_log.h owns it; this puts a catcher in front, which
// passes on whatever nobody wants to catch.
#pragma once

#include <string>

namespace tandem {

/// Sends ggml's log to ours. Safe to call more than once and from several threads.
void route_ggml_log();

/// While it lives, errors that ggml reports on this thread are kept instead of logged.
class GgmlErrorCapture {
 public:
  GgmlErrorCapture();
  GgmlErrorCapture(const GgmlErrorCapture&) = delete;
  GgmlErrorCapture& operator=(const GgmlErrorCapture&) = delete;
  ~GgmlErrorCapture();

  /// The first error in one line, or "no reason given".
  std::string first() const;

 private:
  GgmlErrorCapture* outer_;
  std::string first_;

  friend bool capture(int level, const char* text);
};

}  // namespace tandem
