// AdamW and Muon over the decoder's flat buffers. AdamW is one fused pass; Muon (momentum, made orthogonal by
// Newton-Schulz iterations) takes over the hidden matrices when it is asked for, and AdamW keeps embeddings
// and norms.
//
//   AdamW   p <- (1 - lr wd) p - lr m' / (sqrt(v') + eps)              m', v' the bias-corrected moments
//   Muon    p <- (1 - lr wd) p - lr 0.2 sqrt(max(rows, columns)) O(g + beta m),   O(U V^T) ~ sum of u v^T
//
// The factor gives Muon's update the size of AdamW's (root mean square about 0.2), so one rate suits both.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "train/train_config.h"
#include "train/trainable_decoder.h"

namespace tandem {

/// Linear warm-up, then constant, and over the last decay_share of total_steps linear decay to final_rate *
/// learning_rate.  step from 0
double learning_rate_at(const TrainConfig& config, std::int64_t step);

class Optimiser {
 public:
  /// `decoder` must outlive the optimiser.
  Optimiser(TrainableDecoder& decoder, const TrainConfig& config);

  /// One step from the decoder's gradients, which are clipped to a norm of clip_norm and are zero afterwards.
  /// Returns the norm before clipping.
  double step(std::int64_t step);

  /// [n_parameters] each: the whole state, as a checkpoint holds it. The average is empty if none is kept.
  at::Tensor& first_moments() { return first_moments_; }
  at::Tensor& second_moments() { return second_moments_; }
  at::Tensor& average() { return average_; }
  /// What to validate and to export: the average if one is kept, else the parameters themselves.
  const at::Tensor& best() const { return average_.defined() ? average_ : decoder_.flat(); }

 private:
  /// Matrices of one shape, orthogonalised as one batch. All stand with no more rows than columns.
  struct MatrixGroup {
    std::vector<at::Tensor> values, gradients, momenta;
  };
  void group_matrices();
  void adamw_range(std::int64_t begin, std::int64_t end, double rate, double gradient_scale, double decay,
                   std::int64_t step);
  void muon(double rate, double gradient_scale);

  TrainableDecoder& decoder_;
  TrainConfig config_;
  at::Tensor first_moments_, second_moments_, average_;
  std::vector<MatrixGroup> groups_;
};

/// U V^T of U S V^T for each matrix of [n, rows, columns] (rows <= columns), to about 30%: five Newton-Schulz
/// steps.
at::Tensor orthogonalise(const at::Tensor& matrices, at::ScalarType type);

}  // namespace tandem
