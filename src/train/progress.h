// What a running training says: plain reports, and one line of text for each. Whoever runs the training
// prints them.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

namespace tandem {

/// Validation at one k: nats per target token, for one language.
struct DevLoss {
  std::string language;
  std::string k;  // "1", "3", ..., "inf"
  double loss = 0.0;
};

struct TrainReport {
  std::int64_t step = 0, total_steps = 0;
  double epochs = 0.0;
  double seconds = 0.0;  // of training so far, earlier sessions of a resumed run included
  double seconds_left = 0.0;
  double loss = 0.0;  // nats per target token, averaged over the last steps
  double learning_rate = 0.0, gradient_norm = 0.0;
  double rows_per_second = 0.0, tokens_per_second = 0.0;  // tokens: those that have a label
  std::vector<DevLoss> dev;                               // after a validation only
  std::string note;  // a sentence, when something else happened (resumed, checkpoint written, ...)
};

/// "step 1200/30000  epoch 0.42  loss 2.314  ..." without a line end.
std::string format_report(const TrainReport& report);

/// Writes reports: one line that is written over on a terminal, a line every `seconds_between` in a log.
/// Notes and validations always get lines of their own.
class ProgressPrinter {
 public:
  ProgressPrinter(std::FILE* out, bool is_terminal, double seconds_between = 30.0);
  ~ProgressPrinter();
  ProgressPrinter(const ProgressPrinter&) = delete;
  ProgressPrinter& operator=(const ProgressPrinter&) = delete;

  void show(const TrainReport& report);

 private:
  void end_line();

  std::FILE* out_;
  bool is_terminal_;
  double seconds_between_;
  double last_shown_ = -1e9;
  bool line_is_open_ = false;
};

}  // namespace tandem
