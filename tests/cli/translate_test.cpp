// `tandem translate`: one line out per line in, whatever the line is; events as JSON; clean ends.
#include <gmock/gmock.h>

#include <boost/json.hpp>
#include <chrono>
#include <map>
#include <set>

#include "cli/program.h"

namespace tandem::testing {
namespace {

using ::testing::HasSubstr;

Outcome translate(const std::string& arguments, const std::string& input) {
  return run_tandem("translate --threads 1 --model " + tiny_model() + " " + arguments, input);
}

TEST(Translate, OneLineOutPerLineIn) {
  const Outcome outcome = translate("--to de", "A man sees a dog.\n\n   \nTwo words\nno line end");
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(outcome.err, "");
  const auto lines = lines_of(outcome.out);
  ASSERT_EQ(lines.size(), 5u);
  EXPECT_NE(lines[0], "");
  EXPECT_EQ(lines[1], "");
  EXPECT_EQ(lines[2], "");
  EXPECT_NE(lines[3], "");
  EXPECT_NE(lines[4], "");
  EXPECT_EQ(outcome.out.back(), '\n');
}

TEST(Translate, NothingInNothingOut) {
  const Outcome outcome = translate("--to de", "");
  EXPECT_EQ(outcome.status, 0);
  EXPECT_EQ(outcome.out, "");
}

TEST(Translate, BadLinesStayEmptyAndTheOthersAreTranslated) {
  std::string many_words;
  for (int i = 0; i < 10000; ++i) many_words += "word ";
  std::string input = "A good line.\n";
  input += "broken \xC3( line\n";
  input += std::string("a NUL \0 here\n", 13);
  input += many_words + "\n";
  input += std::string(50000, 'x') + "\n";
  input += std::string(2 << 20, 'y') + "\n";
  input += "cut off \xE4\xBD\n";
  input += "A good line.\n";
  const Outcome outcome = translate("--to de", input);
  EXPECT_EQ(outcome.status, 1);
  const auto lines = lines_of(outcome.out);
  ASSERT_EQ(lines.size(), 8u);
  EXPECT_NE(lines[0], "");
  EXPECT_EQ(lines[7], lines[0]);  // nothing of the bad lines is left in the session
  for (std::size_t i = 1; i < 7; ++i) EXPECT_EQ(lines[i], "") << i;
  const auto errors = lines_of(outcome.err);
  ASSERT_EQ(errors.size(), 6u) << outcome.err;
  for (std::size_t i = 0; i < 6; ++i) {
    EXPECT_THAT(errors[i], HasSubstr("standard input:" + std::to_string(i + 2) + ": ")) << i;
  }
  EXPECT_THAT(errors[0], HasSubstr("0xC3 at byte 8"));
}

TEST(Translate, WindowsLineEndsAreNoText) {
  EXPECT_EQ(translate("--to de", "A man sees a dog.\r\n").out,
            translate("--to de", "A man sees a dog.\n").out);
}

TEST(Translate, PaceChangesNoText) {
  const std::string input = "A man sees a dog.\nTwo words\n";
  const std::string exact = "--cache f32 --to de --k 2";  // how many rows share a pass is left to the clock
  EXPECT_EQ(translate(exact + " --pace 20000", input).out, translate(exact, input).out);
}

TEST(Translate, SeveralTargetsAreColumns) {
  const std::string input = "A man sees a dog.\n\nbroken \xFF\nTwo words\n";
  const auto both = lines_of(translate("--to fr,de", input).out);
  const auto german = lines_of(translate("--to de", input).out);
  const auto french = lines_of(translate("--to fr", input).out);
  ASSERT_EQ(both.size(), 4u);
  for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(both[i], french[i] + "\t" + german[i]) << i;
}

TEST(Translate, WordByWordGivesTheSameText) {
  const std::string input = "A man sees a dog.\n\nTwo words\n";
  EXPECT_EQ(translate("--to de --flush word", input).out, translate("--to de", input).out);
}

TEST(Translate, EventsTellTheWholeStory) {
  const TemporaryFolder folder;
  const Outcome outcome =
      translate("--to de --k 2 --events " + folder.file("events"), "A man sees a dog.\n\nTwo words\n");
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  std::map<std::int64_t, std::string> texts;
  std::map<std::int64_t, std::int64_t> n_read;
  std::int64_t delay = 0;
  std::int64_t line = 0;
  double ms = 0;
  for (const std::string& text : lines_of(read_bytes(folder.file("events")))) {
    const boost::json::object event = boost::json::parse(text).as_object();
    EXPECT_EQ(event.at("to").as_string(), "de");
    if (event.at("line").as_int64() != line) delay = 0;
    line = event.at("line").as_int64();
    EXPECT_GE(event.at("delay").as_int64(), delay) << text;
    EXPECT_GE(event.at("ms").to_number<double>(), ms) << text;
    delay = event.at("delay").as_int64();
    ms = event.at("ms").to_number<double>();
    EXPECT_GT(event.at("visible").as_int64(), 0);
    EXPECT_GE(event.at("passes").as_int64(), 0);
    EXPECT_GE(event.at("index").as_int64(), 0);
    const std::string kind(event.at("event").as_string().c_str());
    const std::string what(event.at("text").as_string().c_str());
    if (kind == "commit") texts[line] += what;
    if (kind == "read" && !what.empty()) ++n_read[line];
  }
  const auto lines = lines_of(outcome.out);
  EXPECT_EQ(n_read, (std::map<std::int64_t, std::int64_t>{{1, 5}, {3, 2}}));
  EXPECT_THAT(texts[1], HasSubstr(lines[0].substr(0, 8)));
  EXPECT_EQ(texts.count(2), 0u);
}

TEST(Translate, FullDiskIsAnError) {
  const Outcome outcome = run_shell(
      "\"$TANDEM\" translate --threads 1 --to de --model " + tiny_model() + " >/dev/full", "A dog.\n");
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.err, HasSubstr("standard output: cannot be written: No space left"));
}

TEST(Translate, ReaderThatGoesAwayIsNoError) {
  const std::string command =
      "{ \"$TANDEM\" translate --to de --model " + tiny_model() + "; echo $? >&2; } | head -n 1";
  std::string input;
  for (int i = 0; i < 200; ++i) input += "A man sees a dog.\n";
  const Outcome outcome = run_shell(command, input);
  EXPECT_EQ(outcome.err, "0\n");
  EXPECT_EQ(lines_of(outcome.out).size(), 1u);
}

TEST(Translate, TerminalShowsBothSidesAndGetsItsCursorBack) {
  const TemporaryFolder folder;
  write_bytes(folder.file("in"), "A man sees a dog.\n\nTwo words\n");
  const Outcome outcome =
      run_shell("TERM=xterm script -qec \"'$TANDEM' translate --threads 1 --to de,fr --model " +
                tiny_model() + " --input " + folder.file("in") + "\" /dev/null");
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("words behind"));
  EXPECT_THAT(outcome.out, HasSubstr("passes per token"));
  EXPECT_GT(outcome.out.rfind("\x1b[?25h"), outcome.out.rfind("\x1b[?25l"));
  const std::size_t first_end = outcome.out.find("\x1b[?25h");
  EXPECT_THAT(outcome.out.substr(first_end),
              HasSubstr("words"));  // the second sentence has a view of its own
}

TEST(Translate, EventsThatCannotBeWrittenAreOneError) {
  const Outcome outcome = translate("--to de --events /dev/full", "A dog.\nA cat.\n");
  EXPECT_EQ(outcome.status, 1);
  EXPECT_EQ(outcome.err, "tandem: translate: /dev/full: cannot be written: No space left on device\n");
}

TEST(Translate, InterruptEndsCleanlyWithWholeLines) {
  // The input stays open for longer than the test may take; the interrupt comes once the first line is out.
  const TemporaryFolder folder;
  const std::string out = folder.file("out");
  const auto start = std::chrono::steady_clock::now();
  const std::string pipe = folder.file("pipe");
  const Outcome outcome =
      run_shell("mkfifo " + pipe + "; { echo 'A dog.'; exec sleep 60; } >" + pipe +
                " & writer=$!\n\"$TANDEM\" translate --threads 1 --to de --model " + tiny_model() + " <" +
                pipe + " >" + out + " & reader=$!\nwhile ! test -s " + out +
                "; do sleep 0.1; done\nsleep 1; kill -INT $reader; wait $reader; " +
                "echo status $? >&2; kill $writer; cat " + out);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(40));
  EXPECT_EQ(outcome.err, "tandem: translate: interrupted, whole lines written: 1\nstatus 1\n");
  EXPECT_EQ(lines_of(outcome.out).size(), 1u);
}

}  // namespace
}  // namespace tandem::testing
