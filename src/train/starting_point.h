// What a run begins with and what it ends in: a vocabulary of its own and a network at random, which become a
// model file; or a stock model, which becomes a tuned model or an adapter.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "stream/visibility.h"
#include "text/vocabulary.h"
#include "train/corpus.h"
#include "train/train_config.h"
#include "train/trainable_decoder.h"

namespace tandem {

class StartingPoint {
 public:
  virtual ~StartingPoint() = default;

  virtual const Vocabulary& vocabulary() const = 0;
  /// The sliding window of the network, in positions, or kNoWindow.
  virtual int window() const { return kNoWindow; }
  /// The training text, in tokens that may be written.
  virtual Corpus read_training_text() = 0;
  /// Other text, cut the same way. Needs read_training_text() first.
  virtual Corpus read_text(const std::vector<DataFile>& files) const = 0;
  /// Needs read_training_text() first. The starting point must outlive the decoder.
  virtual std::unique_ptr<TrainableDecoder> make_decoder() const = 0;
  /// Writes what the run has made: `flat` is of the decoder's layout.
  virtual void write(const std::string& path, const TrainableDecoder& decoder,
                     const at::Tensor& flat) const = 0;
};

/// Throws as opening the base does, or the run's vocabulary.
std::unique_ptr<StartingPoint> open_starting_point(const TrainConfig& config);

}  // namespace tandem
