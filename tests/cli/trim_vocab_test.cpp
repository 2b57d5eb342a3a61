// `tandem trim-vocab` as scripts use it: what it says of the file it wrote, and what it refuses.
#include <gmock/gmock.h>

#include <boost/json.hpp>
#include <filesystem>

#include "cli/program.h"

namespace tandem::testing {
namespace {

using ::testing::HasSubstr;

class TrimVocabCommand : public ::testing::Test {
 protected:
  TrimVocabCommand() { write_bytes(text_, "A man sees a dog.\tEin Mann sieht einen Hund.\n"); }
  Outcome trim(const std::string& model, const std::string& options) {
    return run_tandem("trim-vocab " + model + " --threads 1 --keep-from " + text_ + " -o " + out_ + options);
  }

  TemporaryFolder folder_;
  std::string text_ = folder_.file("text");
  std::string out_ = folder_.file("trimmed.gguf");
};

TEST_F(TrimVocabCommand, SaysWhatWentAndThatTheTextsKeepTheirTokens) {
  const Outcome outcome = trim(tiny_model(), " --json");
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const boost::json::object report = boost::json::parse(outcome.out).as_object();
  EXPECT_LT(report.at("rows_after").as_int64(), report.at("rows_before").as_int64());
  EXPECT_EQ(report.at("bytes_after").to_number<std::uintmax_t>(), std::filesystem::file_size(out_));
  EXPECT_EQ(report.at("words"), report.at("words_same"));
  const Outcome after = run_tandem("verify " + out_ + " --tokens 4 --threads 1");
  EXPECT_THAT(after.out, HasSubstr("best token   the same in 100.0%"));
}

TEST_F(TrimVocabCommand, SaysItInWordsToo) {
  const Outcome outcome = trim(tiny_model(), "");
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("100.00% of the text"));
}

TEST_F(TrimVocabCommand, WhatCannotBeDoneLeavesNoFile) {
  EXPECT_EQ(trim(folder_.file("none.gguf"), "").status, 1);
  write_bytes(text_, "caf\xe9\n");
  const Outcome outcome = trim(tiny_model(), "");
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.err, HasSubstr(text_ + ":1: "));
  EXPECT_EQ(lines_of(outcome.err).size(), 1U) << outcome.err;
  EXPECT_FALSE(std::filesystem::exists(out_));
}

TEST_F(TrimVocabCommand, DoesNotWriteOverItsInput) {
  out_ = folder_.file("model.gguf");
  write_bytes(out_, read_bytes(tiny_model()));
  const Outcome outcome = trim(out_, "");
  EXPECT_NE(outcome.status, 0);
  EXPECT_TRUE(read_bytes(out_) == read_bytes(tiny_model()))
      << "written over";  // no megabytes on the terminal
}

}  // namespace
}  // namespace tandem::testing
