// What a trainer needs of a network, whether it begins at random (scratch_decoder.h) or with the weights of a
// stock model (stock_decoder.h).
//
// All parameters that are trained are views of one flat float32 buffer, and so are their gradients: an
// optimiser step, a clip, an average or a checkpoint is then one pass over memory. Matrices come first, what
// is not decayed after them.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "train/collate.h"

namespace tandem {

enum class ParameterKind { kMatrix, kEmbedding, kNorm };

/// A trained parameter as the model file knows it. Fused matrices appear as their parts.
struct Parameter {
  std::string name;  // e.g. "blk.0.attn_q.weight"
  ParameterKind kind;
  at::Tensor value;  // [n_out, n_in] or [n]; a view of the flat buffer
};

struct Loss {
  at::Tensor mean;   // scalar, with label smoothing; backward() starts here
  at::Tensor plain;  // [labels] nats per token
};

class TrainableDecoder {
 public:
  TrainableDecoder() = default;
  TrainableDecoder(const TrainableDecoder&) = delete;
  TrainableDecoder& operator=(const TrainableDecoder&) = delete;
  virtual ~TrainableDecoder() = default;

  /// [labels, classes]: only rows that have a label get logits. A class is an id of the vocabulary, or of the
  /// kept ids where there are any.
  virtual at::Tensor logits(const Batch& batch) = 0;
  /// Sum over the batch's labels, divided by `divisor` (the labels of all batches of a step).
  virtual Loss loss(const Batch& batch, double label_smoothing, double divisor) = 0;

  /// Views of `flat` (this decoder's own, or a buffer of the same layout such as an average), by file names.
  virtual std::vector<Parameter> parameters(const at::Tensor& flat) const = 0;
  /// One line that two runs share only if their flat buffers mean the same.
  virtual std::string fingerprint() const = 0;

  void set_training(bool training) { training_ = training; }

  at::Tensor& flat() { return flat_; }            // [n_parameters] f32
  at::Tensor& gradients() { return gradients_; }  // [n_parameters] f32
  /// The parameters as autograd knows them, in the buffer's order; grad() of each is a view of gradients().
  const std::vector<at::Tensor>& leaves() const { return leaves_; }
  std::int64_t n_parameters() const { return flat_.numel(); }
  /// Parameters before this offset are matrices (decayed); after it embeddings and norms.
  std::int64_t n_matrix_parameters() const { return n_matrix_parameters_; }

 protected:
  /// The part of the flat buffers at `offset`, as a parameter that gets gradients.
  at::Tensor make_leaf(std::int64_t offset, at::IntArrayRef sizes);

  bool training_ = true;
  at::Tensor flat_, gradients_;
  std::vector<at::Tensor> leaves_;
  std::int64_t n_matrix_parameters_ = 0;
};

}  // namespace tandem
