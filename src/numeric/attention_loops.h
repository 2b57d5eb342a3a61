// Attention of a few rows over the keys of one session, for the query heads that share a key head: what takes
// the time beside matrix products when many sessions ride in a pass.
//
// Scores and sums are f32, whatever keys and values are kept in. Each key and value is widened once for all
// rows and heads.
#pragma once

#include <cstddef>
#include <vector>

#include "numeric/vector_loops.h"

namespace tandem {

/// Strides count elements.
template <typename Element>  // Float16 or float
struct AttentionBlock {
  int head_dim;
  int n_rows;
  int n_heads;  // of queries, for the one key head
  int n_keys;
  const float* q;  // of row r, head h: q + r * q_row + h * q_head
  std::size_t q_row, q_head;
  const Element* k;  // of key j: k + j * slot
  const Element* v;
  std::size_t slot;
  const Float16* mask;  // [n_rows, n_keys], added to the scores: 0 or minus infinity
  float scale;
  float soft_cap;  // scores become cap * tanh(score / cap); 0: they stay
  float* out;      // of row r: out + r * out_row, heads side by side
  std::size_t out_row;
};

/// What a thread works in; kept for its memory.
struct AttentionScratch {
  std::vector<float> widened;  // some keys or values
  std::vector<float> scores;   // [n_rows, n_heads, n_keys]
};

/// out = softmax(scale * q k + mask) v. Every row must see a key. Cost: the rows times the keys up to the
/// last that any row sees.
void attend(const AttentionBlock<Float16>& block, AttentionScratch& scratch);
void attend(const AttentionBlock<float>& block, AttentionScratch& scratch);

}  // namespace tandem
