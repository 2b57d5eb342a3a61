// One sentence live on a terminal: the source with what is not yet READ in grey, below it each target as its
// words are committed, with the number of words that it is behind.
//
//   en  A young girl in a red coat is feeding the ducks by the lake.
//   de  Ein junges Mädchen in einem  ‹4 words behind›
//
// Every change redraws the block in one write between the marks of a synchronised update, lines overwritten
// and not cleared first, so that nothing flickers. When the sentence ends the block stays, with a line of
// figures below each target. A block higher than the terminal shows its end while it is live.
#pragma once

#include <chrono>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tandem/engine.h"

namespace tandem {

class Output;
struct StyledText;

class TerminalView {
 public:
  /// `output` outlives the view.
  TerminalView(Output& output, std::string source_label, std::vector<std::string> languages);
  TerminalView(const TerminalView&) = delete;
  TerminalView& operator=(const TerminalView&) = delete;
  /// Leaves the terminal as it was: cursor shown, at the start of a line.
  ~TerminalView();

  void begin();
  /// A source word has arrived.
  void add_source_word(std::string_view word);
  void show(std::size_t target, const Event& event);
  /// Draws what has changed, but not more often than a screen shows it unless `now`.
  void draw(bool now = false);
  /// Draws the whole sentence, figures below each target, and leaves it there.
  void end(std::span<const std::string> figures);

 private:
  struct Target {
    std::string language;
    std::vector<std::string> words;
    int n_read = 0;
    bool has_ended = false;
  };

  std::vector<std::string> compose(std::span<const std::string> figures) const;
  void add_block(std::vector<std::string>& lines, const std::string& label, const std::string& label_style,
                 std::span<const StyledText> words) const;
  std::string paint(std::string_view style) const;
  void put(const std::vector<std::string>& lines);

  Output& output_;
  std::string source_label_;
  int gutter_ = 0;  // columns of the longest label and two spaces
  bool has_colours_;
  std::vector<std::string> source_;
  std::vector<Target> targets_;
  int n_lines_shown_ = 0;
  bool is_live_ = false;
  bool is_stale_ = false;
  std::chrono::steady_clock::time_point last_drawn_{};
};

}  // namespace tandem
