// What a file is refused with, held to the form that every refusal has.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "tandem/error.h"

namespace tandem::testing {

/// The message that `load` refuses the file at `path` with: one line that begins with the path. "no error" if
/// it does not.
inline std::string refusal_of(const std::string& path, const std::function<void()>& load) {
  try {
    load();
  } catch (const Error& error) {
    const std::string message = error.what();
    EXPECT_TRUE(message.starts_with(path + ": ")) << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    return message;
  }
  return "no error";
}

}  // namespace tandem::testing
