#include "cli/terminal_view.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/output.h"
#include "cli/text_layout.h"

namespace tandem {
namespace {

using namespace std::chrono_literals;

constexpr auto kFrameTime = 16ms;
constexpr std::string_view kBeginUpdate = "\x1b[?2026h";
constexpr std::string_view kEndUpdate = "\x1b[?2026l";
constexpr std::string_view kHideCursor = "\x1b[?25l";
constexpr std::string_view kShowCursor = "\x1b[?25h";
constexpr std::string_view kClearRight = "\x1b[K";
constexpr std::string_view kClearBelow = "\x1b[J";

constexpr std::string_view kGrey = "\x1b[90m";
constexpr std::string_view kFresh = "\x1b[1m";
constexpr std::string_view kTargetColours[] = {"\x1b[36m", "\x1b[32m", "\x1b[35m", "\x1b[33m"};
constexpr std::string_view kTargetFresh[] = {"\x1b[1;36m", "\x1b[1;32m", "\x1b[1;35m", "\x1b[1;33m"};

std::string_view colour_of(std::size_t target) {
  return kTargetColours[target % std::size(kTargetColours)];
}
std::string_view fresh_colour_of(std::size_t target) {
  return kTargetFresh[target % std::size(kTargetFresh)];
}

}  // namespace

TerminalView::TerminalView(Output& output, std::string source_label, std::vector<std::string> languages)
    : output_(output), source_label_(std::move(source_label)), has_colours_(wants_colours()) {
  gutter_ = columns_of(source_label_);
  for (std::string& language : languages) {
    gutter_ = std::max(gutter_, columns_of(language));
    targets_.push_back({.language = std::move(language)});
  }
  gutter_ += 2;
}

TerminalView::~TerminalView() {
  if (!is_live_) return;
  try {
    output_.write("\r\n");
    output_.write(kShowCursor);
    output_.flush();
  } catch (...) {  // the terminal is gone, and its cursor with it
    is_live_ = false;
  }
}

void TerminalView::begin() {
  source_.clear();
  for (Target& target : targets_) target = {.language = std::move(target.language)};
  n_lines_shown_ = 0;
  is_live_ = true;
  is_stale_ = true;
  output_.write(kHideCursor);
}

void TerminalView::add_source_word(std::string_view word) {
  source_.emplace_back(word);
  is_stale_ = true;
}

void TerminalView::show(std::size_t target, const Event& event) {
  Target& shown = targets_[target];
  if (event.kind == EventKind::kRead) shown.n_read = event.delay_words;
  if (event.kind == EventKind::kSentence) shown.has_ended = true;
  if (event.kind == EventKind::kCommit) {
    const bool joins = !shown.words.empty() && !event.text.empty() && event.text.front() != ' ';
    const std::string_view text =
        std::string_view(event.text).substr(std::min(event.text.find_first_not_of(' '), event.text.size()));
    if (joins)
      shown.words.back() += text;
    else
      shown.words.emplace_back(text);
  }
  is_stale_ = true;
}

std::string TerminalView::paint(std::string_view style) const {
  return has_colours_ ? std::string(style) : std::string();
}

void TerminalView::add_block(std::vector<std::string>& lines, const std::string& label,
                             const std::string& label_style, std::span<const StyledText> words) const {
  const int n_columns = terminal_size(output_.fd()).n_columns;
  std::string margin = label_style + label + (label_style.empty() ? "" : "\x1b[0m") +
                       std::string(static_cast<std::size_t>(gutter_ - columns_of(label)), ' ');
  for (std::string& line : lay_out(words, n_columns - gutter_ - 1)) {
    lines.push_back(margin + line);
    margin = std::string(static_cast<std::size_t>(gutter_), ' ');
  }
}

std::vector<std::string> TerminalView::compose(std::span<const std::string> figures) const {
  std::vector<std::string> lines;
  int n_read = 0;
  for (const Target& target : targets_) n_read = std::max(n_read, target.n_read);
  std::vector<StyledText> words;
  for (std::size_t i = 0; i < source_.size(); ++i) {
    const bool is_read = static_cast<int>(i) < n_read;
    const bool is_fresh = is_read && static_cast<int>(i) + 1 == n_read && figures.empty();
    words.push_back({source_[i], is_fresh ? paint(kFresh) : is_read ? "" : paint(kGrey)});
  }
  add_block(lines, source_label_, paint(kGrey), words);
  for (std::size_t t = 0; t < targets_.size(); ++t) {
    const Target& target = targets_[t];
    words.clear();
    for (std::size_t i = 0; i < target.words.size(); ++i) {
      const bool is_fresh = i + 1 == target.words.size() && figures.empty();
      words.push_back({target.words[i], paint(is_fresh ? fresh_colour_of(t) : colour_of(t))});
    }
    const int n_behind = static_cast<int>(source_.size()) - static_cast<int>(target.words.size());
    if (!target.has_ended && figures.empty() && n_behind > 0) {
      const std::string lag = fmt::format(" ‹{} {} behind›", n_behind, n_behind == 1 ? "word" : "words");
      words.push_back({lag, paint(kGrey)});
    }
    add_block(lines, target.language, paint(kGrey), words);
    if (t < figures.size()) {
      const StyledText figure{figures[t], paint(kGrey)};
      add_block(lines, "", "", std::span(&figure, 1));
    }
  }
  return lines;
}

void TerminalView::put(const std::vector<std::string>& lines) {
  std::string frame(kBeginUpdate);
  if (n_lines_shown_ > 1) frame += fmt::format("\x1b[{}A", n_lines_shown_ - 1);
  frame += '\r';
  for (std::size_t i = 0; i < lines.size(); ++i) {
    frame.append(i == 0 ? "" : "\r\n").append(lines[i]).append(kClearRight);
  }
  frame.append(kClearBelow).append(kEndUpdate);
  output_.write(frame);
  output_.flush();
  n_lines_shown_ = static_cast<int>(lines.size());
}

void TerminalView::draw(bool now) {
  const auto time = std::chrono::steady_clock::now();
  if (!is_live_ || !is_stale_ || (!now && time - last_drawn_ < kFrameTime)) return;
  std::vector<std::string> lines = compose({});
  const auto n_most = static_cast<std::size_t>(std::max(1, terminal_size(output_.fd()).n_rows - 1));
  if (lines.size() > n_most) lines.erase(lines.begin(), lines.end() - static_cast<std::ptrdiff_t>(n_most));
  put(lines);
  last_drawn_ = time;
  is_stale_ = false;
}

void TerminalView::end(std::span<const std::string> figures) {
  if (!is_live_) return;
  put(compose(figures));
  output_.write("\r\n\r\n");
  output_.write(kShowCursor);
  output_.flush();
  is_live_ = false;
}

}  // namespace tandem
