// Products in blocks with AVX2. Loops have fixed counts and are unrolled, so that integers stay in registers;
// sums of floats do not, which are touched once in a block.
#ifdef __x86_64__
#include <immintrin.h>

#include <array>
#include <bit>
#include <cstring>

#include "numeric/x86_kernels.h"

#define TANDEM_AVX2 __attribute__((target("avx2,fma")))

namespace tandem {

namespace {

constexpr int kLanes = 8;
constexpr int kWhole = kPanelOutputs / kLanes;  // registers of a panel's outputs
constexpr int kHalf = kWhole / 2;               // as many at a time as leave room for sums of kTileRows
constexpr int kFours = kBlockInputs / 4;

template <int kRows, int kRegisters>
using Products = __m256i[kRows][kRegisters];
template <int kRows, int kRegisters>
using Sums = __m256[kRows][kRegisters];

/// Some rows' inputs of a block.
struct Inputs {
  const InputBlock* block;  // of the first row
  int n_blocks;             // from one row to the next

  const InputBlock& of_row(int row) const { return block[std::ptrdiff_t{row} * n_blocks]; }
};

/// What is added up stays where it is: left to itself the compiler adds up products first, finds no register
/// for them and is half as fast.
TANDEM_AVX2 inline void keep_in_register(__m256i& sum) {
  __asm__("" : "+x"(sum));
}

/// In a register for each product with it: the compiler would load it anew.
TANDEM_AVX2 inline __m256i four_weights(const std::uint8_t* weights, int i) {
  __m256i loaded = _mm256_load_si256(reinterpret_cast<const __m256i*>(weights) + i);
  keep_in_register(loaded);
  return loaded;
}

TANDEM_AVX2 inline __m256i four_everywhere(const InputBlock& inputs, int four) {
  std::int32_t x;
  std::memcpy(&x, inputs.values.data() + std::ptrdiff_t{4} * four, sizeof x);
  return _mm256_set1_epi32(x);
}

/// Of all rows.
template <int kRows>
TANDEM_AVX2 inline void load_four(const Inputs& inputs, int four, __m256i (&x)[kRows]) {
#pragma GCC unroll 4
  for (int row = 0; row < kRows; ++row) x[row] = four_everywhere(inputs.of_row(row), four);
}

/// Stays in memory, as all registers are taken.
alignas(32) constexpr std::array<std::int16_t, 16> kOnes{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};

/// Of 16 bits each, in 32.
TANDEM_AVX2 inline __m256i sums_of_pairs(__m256i x) {
  __m256i sums;
  __asm__("vpmaddwd %2, %1, %0" : "=x"(sums) : "x"(x), "m"(kOnes));
  return sums;
}

/// Two products of bytes and their sum are one instruction, of unsigned and signed ones.
///
/// Half a block's products are summed in 16 bits, and two of those in 32. With weights 32 too high the sums
/// overflow; they begin at what that adds to them, and so come back: without it they fit
/// (8 * 32 * 127 < 2^15).
struct SixBits {
  template <int kRows, int kRegisters>
  TANDEM_AVX2 static inline void multiply_half(const std::uint8_t* values, const Inputs& inputs, int half,
                                               Products<kRows, kRegisters>& sums) {
#pragma GCC unroll 4
    for (int row = 0; row < kRows; ++row)
#pragma GCC unroll 4
      for (int i = 0; i < kRegisters; ++i)
        sums[row][i] =
            _mm256_set1_epi32(pair_of(inputs.of_row(row).half_offsets[static_cast<std::size_t>(half)]));
#pragma GCC unroll 4
    for (int four = 0; four < kFours / 2; ++four, values += 4 * kPanelOutputs) {
      __m256i x[kRows];
      load_four<kRows>(inputs, kFours / 2 * half + four, x);
#pragma GCC unroll 4
      for (int i = 0; i < kRegisters; ++i) {
        const __m256i weights = four_weights(values, i);
#pragma GCC unroll 4
        for (int row = 0; row < kRows; ++row) {
          sums[row][i] = _mm256_add_epi16(sums[row][i], _mm256_maddubs_epi16(weights, x[row]));
          keep_in_register(sums[row][i]);
        }
      }
    }
  }

  template <int kRows, int kRegisters>
  TANDEM_AVX2 static inline void multiply_block(const std::uint8_t* values, const Inputs& inputs,
                                                Products<kRows, kRegisters>& products) {
    Products<kRows, kRegisters> first, second;
    multiply_half<kRows, kRegisters>(values, inputs, 0, first);
#pragma GCC unroll 4
    for (int row = 0; row < kRows; ++row)
#pragma GCC unroll 4
      for (int i = 0; i < kRegisters; ++i) products[row][i] = sums_of_pairs(first[row][i]);
    multiply_half<kRows, kRegisters>(values + std::ptrdiff_t{4} * kPanelOutputs * kFours / 2, inputs, 1,
                                     second);
#pragma GCC unroll 4
    for (int row = 0; row < kRows; ++row)
#pragma GCC unroll 4
      for (int i = 0; i < kRegisters; ++i)
        products[row][i] = _mm256_add_epi32(products[row][i], sums_of_pairs(second[row][i]));
  }

 private:
  static std::int32_t pair_of(const std::array<std::int16_t, 2>& offsets) {
    return std::bit_cast<std::int32_t>(offsets);
  }
};

/// The weight's sign goes to the input, and what is left of it is unsigned. Two products fit 16 bits.
struct EightBits {
  template <int kRows, int kRegisters>
  TANDEM_AVX2 static inline void multiply_block(const std::uint8_t* values, const Inputs& inputs,
                                                Products<kRows, kRegisters>& products) {
#pragma GCC unroll 4
    for (int row = 0; row < kRows; ++row)
#pragma GCC unroll 4
      for (int i = 0; i < kRegisters; ++i) products[row][i] = _mm256_setzero_si256();
#pragma GCC unroll 8
    for (int four = 0; four < kFours; ++four, values += 4 * kPanelOutputs) {
      __m256i x[kRows];
      load_four<kRows>(inputs, four, x);
#pragma GCC unroll 4
      for (int i = 0; i < kRegisters; ++i) {
        const __m256i weights =
            _mm256_xor_si256(four_weights(values, i), _mm256_set1_epi8(static_cast<char>(0x80)));
        const __m256i magnitudes = _mm256_abs_epi8(weights);
#pragma GCC unroll 4
        for (int row = 0; row < kRows; ++row) {
          const __m256i pairs = _mm256_maddubs_epi16(magnitudes, _mm256_sign_epi8(x[row], weights));
          products[row][i] = _mm256_add_epi32(products[row][i], sums_of_pairs(pairs));
          keep_in_register(products[row][i]);
        }
      }
    }
  }
};

/// A block's integers, scaled, to the sums of floats.
template <int kRows, int kRegisters>
TANDEM_AVX2 inline void add_scaled(const Products<kRows, kRegisters>& products, const float* scales,
                                   const Inputs& inputs, Sums<kRows, kRegisters>& sums) {
#pragma GCC unroll 4
  for (int i = 0; i < kRegisters; ++i) {
    const __m256 of_outputs = _mm256_load_ps(scales + kLanes * i);
#pragma GCC unroll 4
    for (int row = 0; row < kRows; ++row) {
      const __m256 scaled = _mm256_mul_ps(_mm256_cvtepi32_ps(products[row][i]), of_outputs);
      sums[row][i] = _mm256_fmadd_ps(scaled, _mm256_set1_ps(inputs.of_row(row).scale), sums[row][i]);
    }
  }
}

/// kRegisters of outputs, from output `first` of the panel on. Not inline, as the compiler then finds no
/// registers for it.
template <typename Bits, int kRows, int kRegisters>
[[gnu::noinline]] TANDEM_AVX2 void multiply_outputs(const BlockTile& tile, std::size_t first,
                                                    Fetching& fetching) {
  Sums<kRows, kRegisters> sums = {};
  Inputs inputs{.block = tile.inputs, .n_blocks = tile.n_blocks};
  for (const WeightBlock* weights = tile.weights; weights != tile.weights + tile.n_blocks;
       ++weights, ++inputs.block) {
    fetching.step();
    Products<kRows, kRegisters> products;
    Bits::template multiply_block<kRows, kRegisters>(weights->values[0][first].data(), inputs, products);
    add_scaled<kRows, kRegisters>(products, weights->scales.data() + first, inputs, sums);
  }
  for (int row = 0; row < kRows; ++row)
    for (int i = 0; i < kRegisters; ++i)
      _mm256_storeu_ps(tile.out + tile.out_row * row + first + kLanes * i, sums[row][i]);
}

/// A panel's memory is read once from end to end where the rows leave registers for all of its outputs: few
/// rows are bound by that.
template <typename Bits, int kRows>
TANDEM_AVX2 void multiply_rows(const BlockTile& tile) {
  constexpr int kRegisters = kRows <= 2 ? kWhole : kHalf;
  Fetching fetching(tile.fetch, kWhole / kRegisters * tile.n_blocks);
  for (std::size_t first = 0; first < kPanelOutputs; first += std::size_t{kLanes} * kRegisters)
    multiply_outputs<Bits, kRows, kRegisters>(tile, first, fetching);
}

template <typename Bits>
BlockKernel kernel(WeightBits bits) {
  return {"AVX2",
          bits,
          {multiply_rows<Bits, 1>, multiply_rows<Bits, 2>, multiply_rows<Bits, 3>,
           multiply_rows<Bits, kTileRows>}};
}

}  // namespace

std::vector<BlockKernel> avx2_kernels() {
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return {};
  return {kernel<SixBits>(WeightBits::kSix), kernel<EightBits>(WeightBits::kEight)};
}

}  // namespace tandem

#endif
