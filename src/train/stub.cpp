// Stands in for the whole room in a build without libtorch.
#include "tandem/error.h"
#include "train/trainer.h"

namespace tandem {
namespace {

[[noreturn]] void fail_unsupported() {
  throw Error(
      ErrorCode::kUnsupported,
      "this build has no trainer: configure with -DTANDEM_TRAIN=ON (needs libtorch, sentencepiece, toml++)");
}

}  // namespace

TrainConfig read_train_config(const std::string&) {
  fail_unsupported();
}

void run_training(const TrainConfig&, const TrainOptions&) {
  fail_unsupported();
}

}  // namespace tandem
