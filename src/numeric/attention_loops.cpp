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

/// y += the weighted sum of kGroup rows of x.
TANDEM_INLINE void add_group(const float* x, const float* weights, int n, float* y) {
  const float *x0 = x, *x1 = x + n, *x2 = x + std::ptrdiff_t{2} * n, *x3 = x + std::ptrdiff_t{3} * n;
  const float a = weights[0], b = weights[1], c = weights[2], d = weights[3];
#pragma omp simd
  for (int i = 0; i < n; ++i) y[i] += a * x0[i] + b * x1[i] + c * x2[i] + d * x3[i];
}

TANDEM_INLINE float capped(float score, float cap) {
  const float e = fast_exp(std::clamp(2.0F * score / cap, -80.0F, 80.0F));
  return cap * (1.0F - 2.0F / (e + 1.0F));
}

/// Scores of one row and head become weights that add up to 1.
TANDEM_INLINE void soft_max(float* scores, const Float16* mask, int n, float scale, float cap) {
  float most = -std::numeric_limits<float>::infinity();
#pragma omp simd reduction(max : most)
  for (int i = 0; i < n; ++i) {
    float score = scores[i] * scale;
    score = (cap > 0.0F ? capped(score, cap) : score) + load(mask[i]);
    scores[i] = score;
    most = score > most ? score : most;
  }
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int i = 0; i < n; ++i) {
    // What is hidden weighs nothing at all, where fast_exp() would leave a trace of it.
    const float e = scores[i] == -std::numeric_limits<float>::infinity() ? 0.0F : fast_exp(scores[i] - most);
    scores[i] = e;
    sum += e;
  }
  const float factor = 1.0F / sum;
#pragma omp simd
  for (int i = 0; i < n; ++i) scores[i] *= factor;
}

/// Keys up to the last that any row sees.
TANDEM_INLINE int count_seen(const Float16* mask, int n_rows, int n_keys) {
  int n_seen = 0;
  for (int row = 0; row < n_rows; ++row) {
    const Float16* of_row = mask + std::ptrdiff_t{row} * n_keys;
    for (int key = n_keys; key > n_seen; --key) {
      if (of_row[key - 1].bits == 0) n_seen = key;
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
    widen(block.k + static_cast<std::size_t>(j) * block.slot, key, block.head_dim);
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
      const int key = std::min(first + i, n_seen - 1);
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
  const int n_seen = count_seen(block.mask, block.n_rows, block.n_keys);
  score_keys(block, n_seen, scratch);
  for (int query = 0; query < block.n_rows * block.n_heads; ++query) {
    soft_max(scores_of(block, query, scratch),
             block.mask + std::ptrdiff_t{query / block.n_heads} * block.n_keys, n_seen, block.scale,
             block.soft_cap);
    std::fill_n(out_of(block, query), block.head_dim, 0.0F);
  }
  add_values(block, n_seen, scratch);
}

void make_room(int head_dim, int n_scores, AttentionScratch& scratch) {
  scratch.widened.resize(std::size_t{kGroup} * static_cast<std::size_t>(head_dim));
  scratch.scores.resize(static_cast<std::size_t>(n_scores));
}

TANDEM_CLONES void attend_f16(const AttentionBlock<Float16>& block, AttentionScratch& scratch) {
  attend_any(block, scratch);
}

TANDEM_CLONES void attend_f32(const AttentionBlock<float>& block, AttentionScratch& scratch) {
  attend_any(block, scratch);
}

}  // namespace

void attend(const AttentionBlock<Float16>& block, AttentionScratch& scratch) {
  make_room(block.head_dim, block.n_rows * block.n_heads * block.n_keys, scratch);
  attend_f16(block, scratch);
}

void attend(const AttentionBlock<float>& block, AttentionScratch& scratch) {
  make_room(block.head_dim, block.n_rows * block.n_heads * block.n_keys, scratch);
  attend_f32(block, scratch);
}

}  // namespace tandem
