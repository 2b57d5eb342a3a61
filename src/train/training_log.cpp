#include "train/training_log.h"

#include <fmt/format.h>

#include <cstdlib>
#include <fstream>

#include "files/atomic_file.h"

namespace tandem {

void TrainingLog::begin(std::int64_t step) {
  lines_.clear();
  std::ifstream in(path_);
  std::string line;
  if (step == 0 || !std::getline(in, line)) return;
  lines_.push_back(line);
  while (std::getline(in, line)) {
    if (std::strtoll(line.c_str(), nullptr, 10) <= step) lines_.push_back(line);
  }
}

void TrainingLog::add(std::int64_t step, double seconds, double loss, const std::vector<DevLoss>& dev) {
  if (lines_.empty()) {
    lines_.push_back("step,seconds,loss");
    for (const DevLoss& entry : dev) lines_[0] += fmt::format(",{}_k{}", entry.language, entry.k);
  }
  std::string line = fmt::format("{},{:.1f},{:.4f}", step, seconds, loss);
  for (const DevLoss& entry : dev) line += fmt::format(",{:.4f}", entry.loss);
  lines_.push_back(line);

  AtomicFile file(path_);
  for (const std::string& text : lines_) {
    file.write(std::as_bytes(std::span(text)));
    file.write(std::as_bytes(std::span("\n", 1)));
  }
  file.commit();
}

}  // namespace tandem
