// A file is whole or it is not there, and what was there before stays until then.
#include "files/atomic_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string_view>

#include "tandem/error.h"

namespace tandem {
namespace {

using ::testing::HasSubstr;

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

class AtomicFileTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "tandem-files-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("cannot make a temporary folder");
    folder_ = name;
    path_ = folder_ / "file";
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string content() const {
    std::ifstream in(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  std::ptrdiff_t n_files() const {
    const std::filesystem::directory_iterator files(folder_);
    return std::distance(begin(files), end(files));
  }

  std::filesystem::path folder_, path_;
};

TEST_F(AtomicFileTest, IsThereWithTheCommit) {
  AtomicFile file(path_);
  file.write(bytes_of("one "));
  file.write(bytes_of("two"));
  EXPECT_FALSE(std::filesystem::exists(path_));
  file.commit();
  EXPECT_EQ(content(), "one two");
  EXPECT_EQ(n_files(), 1);
}

TEST_F(AtomicFileTest, WithoutACommitWhatWasThereStaysAndNothingElse) {
  std::ofstream(path_) << "before";
  { AtomicFile(path_).write(bytes_of("after")); }
  EXPECT_EQ(content(), "before");
  EXPECT_EQ(n_files(), 1);
  AtomicFile file(path_);
  file.write(bytes_of("after"));
  file.commit();
  EXPECT_EQ(content(), "after");
}

TEST_F(AtomicFileTest, WhatIsNoFileIsRefusedAndStays) {
  const auto error_of = [](const std::string& path) -> std::string {
    try {
      AtomicFile file(path);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kIo);
      return error.what();
    }
    return "no error";
  };
  EXPECT_THAT(error_of(folder_), HasSubstr(": expected a regular file or a new name"));
  EXPECT_THAT(error_of("/dev/null"), HasSubstr("/dev/null: expected a regular file or a new name"));
  EXPECT_THAT(error_of(folder_ / "none" / "file"),
              HasSubstr(": cannot create the file: No such file or directory"));
  EXPECT_TRUE(std::filesystem::is_directory(folder_));
  EXPECT_EQ(n_files(), 0);
}

}  // namespace
}  // namespace tandem
