// Attention of a few rows over the keys of one session, for the query heads that share a key head: what takes
// the time beside matrix products when many sessions ride in a pass.
//
// Scores and sums are f32, whatever keys and values are kept in. Each key and value is widened once for all
// rows and heads. What a row gets depends, bit by bit, on the keys that it sees and their order alone:
// neither on the slots where they lie, nor on keys in between that it does not see, nor on the rows beside
// it.
#pragma once

#include <cstddef>
#include <cstdint>
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
  const Float16* mask;        // [n_rows, n_keys], added to the scores: 0 or minus infinity
  const std::int32_t* order;  // [n_keys], the keys as they are summed, each once
  float scale;
  float soft_cap;  // scores become cap * tanh(score / cap); 0: they stay
  float* out;      // of row r: out + r * out_row, heads side by side
  std::size_t out_row;
};

/// What a thread works in; kept for its memory.
struct AttentionScratch {
  std::vector<float> widened;  // some keys or values
  std::vector<float> scores;   // [n_rows, n_heads, n_keys], in order
  std::vector<float> hidden;   // of a row, its mask in order
};

/// out = softmax(scale * q k + mask) v. Every row must see a key. Cost: the rows times the keys up to the
/// last in order that any row sees.
void attend(const AttentionBlock<Float16>& block, AttentionScratch& scratch);
void attend(const AttentionBlock<float>& block, AttentionScratch& scratch);

}  // namespace tandem
