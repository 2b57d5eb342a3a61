#include "train/progress.h"

#include <fmt/format.h>

namespace tandem {
namespace {

constexpr double kTerminalSeconds = 0.5;

std::string duration(double seconds) {
  const auto whole = static_cast<std::int64_t>(seconds);
  if (whole >= 3600) return fmt::format("{}h{:02}m", whole / 3600, whole / 60 % 60);
  return fmt::format("{}m{:02}s", whole / 60, whole % 60);
}

}  // namespace

std::string format_report(const TrainReport& report) {
  if (!report.note.empty()) return fmt::format("step {}: {}", report.step, report.note);
  if (!report.dev.empty()) {
    std::string line = fmt::format("step {}: validation", report.step);
    for (const DevLoss& dev : report.dev)
      line += fmt::format("  {} k={} {:.3f}", dev.language, dev.k, dev.loss);
    return line;
  }
  return fmt::format(
      "step {}/{}  epoch {:.2f}  loss {:.3f}  lr {:.2e}  |g| {:.2f}  {:.0f} rows/s  {:.0f} tokens/s  "
      "{} done, {} left",
      report.step, report.total_steps, report.epochs, report.loss, report.learning_rate, report.gradient_norm,
      report.rows_per_second, report.tokens_per_second, duration(report.seconds),
      duration(report.seconds_left));
}

ProgressPrinter::ProgressPrinter(std::FILE* out, bool is_terminal, double seconds_between)
    : out_(out),
      is_terminal_(is_terminal),
      seconds_between_(is_terminal ? kTerminalSeconds : seconds_between) {}

ProgressPrinter::~ProgressPrinter() {
  end_line();
}

void ProgressPrinter::end_line() {
  if (line_is_open_) fmt::print(out_, "\n");
  line_is_open_ = false;
}

void ProgressPrinter::show(const TrainReport& report) {
  const bool is_event = !report.note.empty() || !report.dev.empty();
  if (!is_event && report.seconds - last_shown_ < seconds_between_ && report.step < report.total_steps)
    return;
  if (is_event) end_line();
  if (!is_event) last_shown_ = report.seconds;
  if (is_terminal_ && !is_event) {
    fmt::print(out_, "\r{}\x1b[K", format_report(report));
    line_is_open_ = true;
  } else {
    fmt::print(out_, "{}\n", format_report(report));
  }
  std::fflush(out_);
}

}  // namespace tandem
