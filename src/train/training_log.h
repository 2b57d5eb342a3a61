// log.csv of a run: one line per validation, for plots. A resumed run takes back the lines after its
// checkpoint.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "train/progress.h"

namespace tandem {

class TrainingLog {
 public:
  explicit TrainingLog(const std::string& dir) : path_(dir + "/log.csv") {}

  /// Keeps the lines of steps 1 .. `step`, drops the others.
  void begin(std::int64_t step);
  /// Columns: step, seconds, loss (nats per token since the last line), then one per language and k.
  /// Throws Error{kIo}.
  void add(std::int64_t step, double seconds, double loss, const std::vector<DevLoss>& dev);

 private:
  std::string path_;
  std::vector<std::string> lines_;
};

}  // namespace tandem
