// A training run: vocabulary, corpus, steps, validation, checkpoints, and the model file it ends in.
//
// In checkpoint_dir it leaves vocabulary.gguf (a resumed run goes on with it), checkpoint.bin and the one
// before, latest.gguf (a model as good as the newest checkpoint, to look at while the run goes on) and
// log.csv (validations).
#pragma once

#include <functional>
#include <stop_token>

#include "train/progress.h"
#include "train/train_config.h"

namespace tandem {

struct TrainOptions {
  bool resume = false;  // go on from checkpoint_dir; without a checkpoint there, begin
  int threads =
      0;  // 0: as many as the machine has. A resumed run is the same to the bit with the same number
  std::stop_token stop;  // when asked: write a checkpoint, end without the final model
  std::function<void(const TrainReport&)> on_report;  // every step; see ProgressPrinter
};

/// Throws Error{kInvalidArgument} if there is a checkpoint and `resume` was not asked for, or if the loss
/// stops being finite; what vocabulary, corpus, checkpoint and export throw; Error{kUnsupported} in a build
/// without the trainer.
void run_training(const TrainConfig& config, const TrainOptions& options);

}  // namespace tandem
