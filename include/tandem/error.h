// Errors of set-up: a bad file, a bad option, a caller's mistake.
//
// They are thrown as tandem::Error and say in one line where, what was expected and what was found. Ordinary
// outcomes of streaming (needs more input, cache full, cancelled) are not errors: they are returned values.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace tandem {

enum class ErrorCode {
  kInvalidArgument,  // the caller or a command-line option asked for something that cannot be
  kBadFile,          // a file is not what it claims to be, or is damaged
  kUnsupported,      // understood, but this build or version cannot do it
  kNotFound,         // a file, language or tensor that is not there
  kIo,               // the operating system said no: disk full, permission, broken pipe
  kInternal,         // a bug of ours; ends one session, not the process
};

class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message) : std::runtime_error(message), code_(code) {}

  ErrorCode code() const { return code_; }

 private:
  ErrorCode code_;
};

/// Throws kInternal with the place and the condition. Called by TANDEM_CHECK.
[[noreturn]] inline void fail_check(const char* file, int line, const char* condition) {
  throw Error(ErrorCode::kInternal,
              std::string(file) + ":" + std::to_string(line) + ": internal check failed: " + condition);
}

}  // namespace tandem

/// An invariant of our own code. On in release: a broken one must end the session, not corrupt its text.
#define TANDEM_CHECK(condition) \
  ((condition) ? static_cast<void>(0) : ::tandem::fail_check(__FILE__, __LINE__, #condition))
