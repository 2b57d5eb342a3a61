// From examples to a batch: rows, positions, mask and labels, all of them as src/stream/ lays them out. What
// is drawn here (k per target, the kind of suffix per example, the visibility of each word's last row) makes
// one model serve every k. Rows are packed, without padding; only attention, which the mask belongs to, is
// laid out in squares.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "stream/visibility.h"
#include "text/prompt.h"
#include "train/example.h"
#include "train/random.h"
#include "train/train_config.h"

namespace tandem {

struct Batch {
  int n_sequences = 0;
  int n_places = 0;                            // rows of the longest sequence
  std::vector<std::int32_t> tokens;            // [rows]
  std::vector<std::int32_t> place;             // [rows]  sequence * n_places + slot
  std::vector<std::int32_t> doubled_position;  // [rows]
  std::vector<float> mask;         // [n_sequences, n_places, n_places]  0 = visible, -inf = hidden
  std::vector<float> window_mask;  // the same for layers with a sliding window; empty: no row is outside it
  std::vector<std::int32_t> label_rows;  // [labels]  rows that predict, ascending
  std::vector<std::int32_t> labels;      // [labels]  what they predict

  std::size_t n_rows() const { return tokens.size(); }
};

/// One example, laid out.
struct LaidOutExample {
  std::vector<RowPlace> rows;        // in slot order
  std::vector<std::int32_t> tokens;  // [rows]
  std::vector<std::int32_t> labels;  // [rows]  the token that the row predicts, -1 = none
};

class Collator {
 public:
  /// `prompts` has one template per target language of the run; `window` is the network's sliding window in
  /// positions, or kNoWindow. Throws Error{kInvalidArgument} for ks without weights.
  Collator(std::vector<Prompt> prompts, const TrainConfig& config, int window = kNoWindow);

  /// Rows that an example takes at most: prompt, texts, and draft copies if there are any.
  int count_rows(const Example& example) const;

  /// Draws k, suffix and boundary visibilities.
  Batch collate(std::span<const Example* const> examples, Random& random) const;
  /// One k, the default suffix, and every row under its new visibility: for validation.
  Batch collate_at(std::span<const Example* const> examples, WaitK k) const;

  LaidOutExample lay_out(const Example& example, Random& random) const;

 private:
  struct Draw {
    EndMarker end_marker = EndMarker::kWithLastWord;
    std::vector<WaitK> ks;  // per target
    BoundaryRows boundary = BoundaryRows::kReference;
  };
  LaidOutExample lay_out(const Example& example, const Draw& draw, Random* random) const;
  Draw draw_for(const Example& example, Random& random) const;

  std::vector<Prompt> prompts_;
  std::vector<WaitK> ks_;
  std::vector<double> cumulative_k_weights_;
  BoundaryRows boundary_;
  Position target_start_;  // phi
  int window_;
};

/// Packs laid-out examples into one batch.
Batch pack(std::span<const LaidOutExample> examples, int window = kNoWindow);

}  // namespace tandem
