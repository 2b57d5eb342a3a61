// A checkpoint is whole or refused, and a refused one never takes the run with it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "tandem/error.h"
#include "train/checkpoint.h"

namespace tandem {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

class CheckpointTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "tandem-checkpoint-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    dir_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }

  void save(std::int64_t step) {
    const std::vector<float> parameters(100, static_cast<float>(step)), moments = {1.5F, -2.0F};
    save_checkpoint(dir_, {step, 12.5, "shape", {parameters, moments}});
  }
  std::string newest() const { return dir_ + "/checkpoint.bin"; }
  static std::string bytes_of(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  void write_newest(const std::string& bytes) {
    std::ofstream(newest(), std::ios::binary | std::ios::trunc) << bytes;
  }

  std::string dir_;
};

TEST_F(CheckpointTest, ComesBackAsItWas) {
  EXPECT_FALSE(load_checkpoint(dir_, "shape").has_value());
  save(7);
  const auto loaded = load_checkpoint(dir_, "shape");
  ASSERT_TRUE(loaded.has_value());
  EXPECT_THAT(loaded->warning, IsEmpty());
  EXPECT_EQ(loaded->checkpoint.step, 7);
  EXPECT_EQ(loaded->checkpoint.seconds, 12.5);
  ASSERT_EQ(loaded->checkpoint.buffers.size(), 2U);
  EXPECT_EQ(loaded->checkpoint.buffers[0], std::vector<float>(100, 7.0F));
  EXPECT_EQ(loaded->checkpoint.buffers[1], (std::vector<float>{1.5F, -2.0F}));
}

TEST_F(CheckpointTest, TruncatedAnywhereFallsBackToTheOneBefore) {
  save(1);
  save(2);
  const std::string whole = bytes_of(newest());
  for (std::size_t length = 0; length < whole.size(); ++length) {
    write_newest(whole.substr(0, length));
    const auto loaded = load_checkpoint(dir_, "shape");
    ASSERT_TRUE(loaded.has_value());
    ASSERT_EQ(loaded->checkpoint.step, 1) << length;
    ASSERT_THAT(loaded->warning, HasSubstr("checkpoint.bin"));
  }
}

TEST_F(CheckpointTest, AnyFlippedByteIsFound) {
  save(1);
  save(2);
  const std::string whole = bytes_of(newest());
  for (std::size_t i = 0; i < whole.size(); ++i) {
    std::string damaged = whole;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x40);
    write_newest(damaged);
    ASSERT_EQ(load_checkpoint(dir_, "shape")->checkpoint.step, 1) << i;
  }
}

TEST_F(CheckpointTest, NothingWholeOrAnotherModelIsAnError) {
  save(1);
  EXPECT_THROW((void)load_checkpoint(dir_, "another shape"), Error);
  write_newest("junk");
  EXPECT_TRUE(has_checkpoint(dir_));
  EXPECT_THROW((void)load_checkpoint(dir_, "shape"), Error);
}

// A limit on the size of files stands in for a full disk: write() fails part of the way.
TEST_F(CheckpointTest, FullDiskLeavesTheOldOne) {
  save(1);
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit small{200, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  std::string message;
  try {
    save(2);
  } catch (const Error& error) {
    message = error.what();
  }
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, old_handler);
  EXPECT_THAT(message, HasSubstr("checkpoint.bin"));
  EXPECT_EQ(load_checkpoint(dir_, "shape")->checkpoint.step, 1);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(dir_), {}), 1);  // no temporary file remains
}

}  // namespace
}  // namespace tandem
