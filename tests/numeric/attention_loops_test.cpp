// Attention over every shape around a vector's and a group's size, against the same done one by one in double
// precision.
#include "numeric/attention_loops.h"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>

namespace tandem {
namespace {

double decode(Float16 half) {
  const int sign = half.bits >> 15U, exponent = (half.bits >> 10U) & 31U, mantissa = half.bits & 1023U;
  const double magnitude =
      exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024 + mantissa, exponent - 25);
  return sign == 0 ? magnitude : -magnitude;
}

TEST(HalfPrecision, EveryNumberIsExact) {
  for (unsigned bits = 0; bits < 65536; ++bits) {
    const Float16 half{static_cast<std::uint16_t>(bits)};
    const bool is_special = (bits & 0x7c00U) == 0x7c00U;
    if (!is_special) {
      ASSERT_EQ(static_cast<double>(load(half)), decode(half)) << bits;
    } else if ((bits & 0x3ffU) == 0) {
      EXPECT_EQ(load(half), bits == 0x7c00U ? std::numeric_limits<float>::infinity()
                                            : -std::numeric_limits<float>::infinity());
    } else {
      EXPECT_TRUE(std::isnan(load(half))) << bits;
    }
  }
}

constexpr Float16 kVisible{0};
constexpr Float16 kHidden{0xfc00};

double value_of(Float16 half) {
  return decode(half);
}
double value_of(float value) {
  return static_cast<double>(value);
}
void make(std::mt19937& random, float& value) {
  value = std::normal_distribution<float>()(random);
}
void make(std::mt19937& random, Float16& half) {  // of either sign, between 2^-5 and 2
  half.bits =
      static_cast<std::uint16_t>((random() & 0x8000U) | ((10 + random() % 6) << 10U) | (random() & 1023U));
}

struct Shape {
  int head_dim, n_rows, n_heads, n_keys;
  float soft_cap = 0;
};

/// Rows and slots with gaps between them, as a view into a pass and a cache has.
template <typename Element>
struct Example {
  explicit Example(const Shape& shape)
      : q(static_cast<std::size_t>(shape.n_rows) * q_row(shape)),
        k(static_cast<std::size_t>(shape.n_keys) * slot(shape)),
        v(k.size()),
        mask(static_cast<std::size_t>(shape.n_rows * shape.n_keys), kHidden),
        order(static_cast<std::size_t>(shape.n_keys)),
        out(static_cast<std::size_t>(shape.n_rows) * out_row(shape), -7.0F) {
    std::mt19937 random(static_cast<unsigned>(shape.head_dim + shape.n_keys));
    for (float& x : q) make(random, x);
    for (Element& x : k) make(random, x);
    for (Element& x : v) make(random, x);
    for (Float16& x : mask) x = random() % 3 == 0 ? kHidden : kVisible;
    for (int row = 0; row < shape.n_rows; ++row)  // itself, and never the last third
      for (int key = 0; key < shape.n_keys; ++key) {
        Float16& x = mask[static_cast<std::size_t>(row * shape.n_keys + key)];
        if (key == row % shape.n_keys)
          x = kVisible;
        else if (3 * key >= 2 * shape.n_keys)
          x = kHidden;
      }
    std::iota(order.begin(), order.end(), 0);
    std::shuffle(order.begin(), order.end(), random);
    block = {.head_dim = shape.head_dim,
             .n_rows = shape.n_rows,
             .n_heads = shape.n_heads,
             .n_keys = shape.n_keys,
             .q = q.data(),
             .q_row = q_row(shape),
             .q_head = static_cast<std::size_t>(shape.head_dim),
             .k = k.data(),
             .v = v.data(),
             .slot = slot(shape),
             .mask = mask.data(),
             .order = order.data(),
             .scale = 0.3F,
             .soft_cap = shape.soft_cap,
             .out = out.data(),
             .out_row = out_row(shape)};
  }

  static std::size_t q_row(const Shape& s) { return static_cast<std::size_t>(s.head_dim * s.n_heads + 5); }
  static std::size_t out_row(const Shape& s) { return static_cast<std::size_t>(s.head_dim * s.n_heads + 3); }
  static std::size_t slot(const Shape& s) { return static_cast<std::size_t>(2 * s.head_dim); }

  double expected(int row, int head, int i) const {
    const auto at = [](std::size_t n, int j, int offset) {
      return n * static_cast<std::size_t>(j) + static_cast<std::size_t>(offset);
    };
    std::vector<double> scores;
    double sum = 0;
    for (int key = 0; key < block.n_keys; ++key) {
      double score = 0;
      for (int d = 0; d < block.head_dim; ++d)
        score += value_of(q[at(block.q_row, row, head * block.head_dim + d)]) *
                 value_of(k[at(block.slot, key, d)]);
      score *= static_cast<double>(block.scale);
      const auto cap = static_cast<double>(block.soft_cap);
      if (cap > 0) score = cap * std::tanh(score / cap);
      const bool is_seen = mask[static_cast<std::size_t>(row * block.n_keys + key)].bits == 0;
      scores.push_back(is_seen ? std::exp(score) : 0.0);
      sum += scores.back();
    }
    double value = 0;
    for (int key = 0; key < block.n_keys; ++key)
      value += scores[static_cast<std::size_t>(key)] / sum * value_of(v[at(block.slot, key, i)]);
    return value;
  }

  std::vector<float> q;
  std::vector<Element> k, v;
  std::vector<Float16> mask;
  std::vector<std::int32_t> order;
  std::vector<float> out;
  AttentionBlock<Element> block;
};

class AttentionLoops : public ::testing::TestWithParam<Shape> {
 protected:
  template <typename Element>
  void check() {
    Example<Element> example(GetParam());
    const AttentionBlock<Element>& block = example.block;
    // What a former block left must not matter.
    AttentionScratch scratch{.widened = std::vector<float>(7, NAN), .scores = std::vector<float>(900, NAN)};
    attend(block, scratch);
    for (int row = 0; row < block.n_rows; ++row) {
      const float* out = block.out + static_cast<std::size_t>(row) * block.out_row;
      for (int i = 0; i < block.n_heads * block.head_dim; ++i) {
        const double expected = example.expected(row, i / block.head_dim, i % block.head_dim);
        // A cap takes small differences of large numbers.
        ASSERT_NEAR(static_cast<double>(out[i]), expected, block.soft_cap > 0 ? 5e-5 : 1e-5)
            << "row " << row << ", place " << i;
      }
      for (int i = 0; i < 3; ++i)
        EXPECT_EQ(out[block.n_heads * block.head_dim + i], -7.0F) << "beyond the row";
    }
  }
};

TEST_P(AttentionLoops, OfHalvesIsTheSoftmaxOfScoresTimesValues) {
  check<Float16>();
}

/// The same keys in other slots, others in between that nobody sees, and a row at a time: the same bits.
TEST_P(AttentionLoops, WhatIsNotSeenChangesNothing) {
  Shape shape = GetParam();
  Example<Float16> example(shape);
  AttentionScratch scratch;
  attend(example.block, scratch);
  const std::vector<float> expected = example.out;

  const int n_before = shape.n_keys;
  shape.n_keys += 13;
  Example<Float16> other(shape);  // with shuffled slots: key i of the former lies in slots[i]
  other.q = example.q;
  const std::vector<std::int32_t> slots = other.order;
  std::fill(other.mask.begin(), other.mask.end(), kHidden);
  for (int key = 0; key < n_before; ++key) {
    const std::size_t width = other.block.slot;
    const auto from = static_cast<std::ptrdiff_t>(width) * key,
               to = static_cast<std::ptrdiff_t>(width) * slots[key];
    std::copy_n(example.k.begin() + from, width, other.k.begin() + to);
    std::copy_n(example.v.begin() + from, width, other.v.begin() + to);
    for (int row = 0; row < shape.n_rows; ++row)
      other.mask[row * shape.n_keys + slots[key]] = example.mask[row * n_before + key];
  }
  for (int i = 0; i < n_before; ++i) other.order[i] = slots[example.order[i]];
  for (int i = n_before; i < shape.n_keys; ++i) {  // the new ones, anywhere in between
    const auto at = other.order.begin() + (i * 7) % (i + 1);
    other.order.erase(other.order.begin() + i);
    other.order.insert(at, slots[i]);
  }
  for (int row = 0; row < shape.n_rows; ++row) {
    AttentionBlock<Float16> one = other.block;
    one.n_rows = 1;
    one.q += row * one.q_row;
    one.mask += static_cast<std::ptrdiff_t>(row) * one.n_keys;
    one.out += row * one.out_row;
    attend(one, scratch);
  }
  EXPECT_EQ(other.out, expected);
}

TEST_P(AttentionLoops, OfFloatsIsTheSame) {
  check<float>();
}

INSTANTIATE_TEST_SUITE_P(Shapes, AttentionLoops,
                         ::testing::Values(Shape{1, 1, 1, 1}, Shape{16, 1, 1, 2}, Shape{17, 1, 3, 5},
                                           Shape{32, 2, 1, 64}, Shape{64, 3, 2, 31}, Shape{80, 4, 5, 96},
                                           Shape{256, 4, 4, 64}, Shape{256, 1, 4, 32, 1.5F},
                                           Shape{64, 7, 1, 40, 50.0F}),
                         [](const auto& test) {
                           return fmt::format("{}dim{}rows{}heads{}keys{}", test.param.head_dim,
                                              test.param.n_rows, test.param.n_heads, test.param.n_keys,
                                              test.param.soft_cap > 0 ? "capped" : "");
                         });

}  // namespace
}  // namespace tandem
