#include "numeric/attention_loops.h"

#include <algorithm>
#include <limits>

namespace tandem {

namespace {

constexpr int kGroup = 4;  // rows of numbers that are loaded once for as many sums

template <typename Element>
TANDEM_INLINE void widen(const Element* from, float* to, int n) {
#pragma omp simd
  for (int i = 0; i < n; ++i) to[i] = load(from[i]);
}

TANDEM_INLINE void dot_group(const float* x, const float* const* y, int n, float* sums) {
  float a = 0, b = 0, c = 0, d = 0;
  const float *y0 = y[0], *y1 = y[1], *y2 = y[2], *y3 = y[3];
#pragma omp simd reduction(+ : a, b, c, d)
  for (int i = 0; i < n; ++i) {
    a += x[i] * y0[i];
    b += x[i] * y1[i];
    c += x[i] * y2[i];
    d += x[i] * y3[i];
  }
  sums[0] = a, sums[1] = b, sums[2] = c, sums[3] = d;
}

/// y += the weighted rows of x, one after the other: a weight of 0 leaves y what it is, so that it does not
/// matter which rows make a group.
TANDEM_INLINE void add_group(const float* x, const float* weights, int n, float* y) {
  const float *x0 = x, *x1 = x + n, *x2 = x + std::ptrdiff_t{2} * n, *x3 = x + std::ptrdiff_t{3} * n;
  const float a = weights[0], b = weights[1], c = weights[2], d = weights[3];
#pragma omp simd
  for (int i = 0; i < n; ++i) {
    float sum = y[i];
    sum += a * x0[i];
    sum += b * x1[i];
    sum += c * x2[i];
    sum += d * x3[i];
    y[i] = sum;
  }
}

TANDEM_INLINE float capped(float score, float cap) {
  const float e = fast_exp(std::clamp(2.0F * score / cap, -80.0F, 80.0F));
  return cap * (1.0F - 2.0F / (e + 1.0F));
}

/// Scores of one row and head become weights that add up to 1.
TANDEM_INLINE void soft_max(float* scores, const float* hidden, int n, float scale, float cap) {
  float most = -std::numeric_limits<float>::infinity();
#pragma omp simd reduction(max : most)
  for (int i = 0; i < n; ++i) {
    float score = scores[i] * scale;
    score = (cap > 0.0F ? capped(score, cap) : score) + hidden[i];
    scores[i] = score;
    most = score > most ? score : most;
  }
#pragma omp simd
  for (int i = 0; i < n; ++i) {
    // What is hidden weighs nothing at all, where fast_exp() would leave a trace of it.
    scores[i] = scores[i] == -std::numeric_limits<float>::infinity() ? 0.0F : fast_exp(scores[i] - most);
  }
  float sum = 0;  // one after the other, so that what weighs nothing changes nothing
  for (int i = 0; i < n; ++i) sum += scores[i];
  const float factor = 1.0F / sum;
#pragma omp simd
  for (int i = 0; i < n; ++i) scores[i] *= factor;
}

template <typename Element>
TANDEM_INLINE const Float16* mask_of(const AttentionBlock<Element>& block, int row) {
  return block.mask + std::ptrdiff_t{row} * block.n_keys;
}

/// Keys in order up to the last that any row sees.
template <typename Element>
TANDEM_INLINE int count_seen(const AttentionBlock<Element>& block) {
  int n_seen = 0;
  for (int row = 0; row < block.n_rows; ++row) {
    for (int i = block.n_keys; i > n_seen; --i) {
      if (mask_of(block, row)[block.order[i - 1]].bits == 0) n_seen = i;
    }
  }
  return n_seen;
}

/// A query is a head of a row.
template <typename Element>
TANDEM_INLINE const float* query_of(const AttentionBlock<Element>& block, int query) {
  return block.q + static_cast<std::size_t>(query / block.n_heads) * block.q_row +
         static_cast<std::size_t>(query % block.n_heads) * block.q_head;
}

template <typename Element>
TANDEM_INLINE float* out_of(const AttentionBlock<Element>& block, int query) {
  return block.out + static_cast<std::size_t>(query / block.n_heads) * block.out_row +
         std::ptrdiff_t{query % block.n_heads} * block.head_dim;
}

template <typename Element>
TANDEM_INLINE float* scores_of(const AttentionBlock<Element>& block, int query, AttentionScratch& scratch) {
  return scratch.scores.data() + std::ptrdiff_t{query} * block.n_keys;
}

template <typename Element>
TANDEM_INLINE void score_keys(const AttentionBlock<Element>& block, int n_seen, AttentionScratch& scratch) {
  const int n_queries = block.n_rows * block.n_heads;
  float* key = scratch.widened.data();
  for (int j = 0; j < n_seen; ++j) {
    widen(block.k + static_cast<std::size_t>(block.order[j]) * block.slot, key, block.head_dim);
    for (int first = 0; first < n_queries; first += kGroup) {
      const float* queries[kGroup];
      float sums[kGroup];
      for (int i = 0; i < kGroup; ++i)  // past the last one: that again
        queries[i] = query_of(block, std::min(first + i, n_queries - 1));
      dot_group(key, queries, block.head_dim, sums);
      for (int i = 0; i < std::min(kGroup, n_queries - first); ++i)
        scores_of(block, first + i, scratch)[j] = sums[i];
    }
  }
}

template <typename Element>
TANDEM_INLINE void add_values(const AttentionBlock<Element>& block, int n_seen, AttentionScratch& scratch) {
  float* values = scratch.widened.data();
  for (int first = 0; first < n_seen; first += kGroup) {
    for (int i = 0; i < kGroup; ++i) {
      // Past the last one that again, its weight 0.
      const int key = block.order[std::min(first + i, n_seen - 1)];
      widen(block.v + static_cast<std::size_t>(key) * block.slot, values + std::ptrdiff_t{i} * block.head_dim,
            block.head_dim);
    }
    for (int query = 0; query < block.n_rows * block.n_heads; ++query) {
      float weights[kGroup];
      for (int i = 0; i < kGroup; ++i)
        weights[i] = first + i < n_seen ? scores_of(block, query, scratch)[first + i] : 0.0F;
      add_group(values, weights, block.head_dim, out_of(block, query));
    }
  }
}

template <typename Element>
TANDEM_INLINE void attend_any(const AttentionBlock<Element>& block, AttentionScratch& scratch) {
  const int n_seen = count_seen(block);
  score_keys(block, n_seen, scratch);
  for (int row = 0; row < block.n_rows; ++row) {
    float* hidden = scratch.hidden.data();
    for (int i = 0; i < n_seen; ++i) hidden[i] = load(mask_of(block, row)[block.order[i]]);
    for (int query = row * block.n_heads; query < (row + 1) * block.n_heads; ++query) {
      soft_max(scores_of(block, query, scratch), hidden, n_seen, block.scale, block.soft_cap);
      std::fill_n(out_of(block, query), block.head_dim, 0.0F);
    }
  }
  add_values(block, n_seen, scratch);
}

template <typename Element>
void make_room(const AttentionBlock<Element>& block, AttentionScratch& scratch) {
  scratch.widened.resize(std::size_t{kGroup} * static_cast<std::size_t>(block.head_dim));
  scratch.scores.resize(static_cast<std::size_t>(block.n_rows) * static_cast<std::size_t>(block.n_heads) *
                        static_cast<std::size_t>(block.n_keys));
  scratch.hidden.resize(static_cast<std::size_t>(block.n_keys));
}

TANDEM_CLONES void attend_f16(const AttentionBlock<Float16>& block, AttentionScratch& scratch) {
  attend_any(block, scratch);
}

TANDEM_CLONES void attend_f32(const AttentionBlock<float>& block, AttentionScratch& scratch) {
  attend_any(block, scratch);
}

}  // namespace

void attend(const AttentionBlock<Float16>& block, AttentionScratch& scratch) {
  make_room(block, scratch);
  attend_f16(block, scratch);
}

void attend(const AttentionBlock<float>& block, AttentionScratch& scratch) {
  make_room(block, scratch);
  attend_f32(block, scratch);
}

}  // namespace tandem
