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

/// Of a block, from one of a panel's outputs on.
struct Weights {
  const WeightPanel& panel;
  int block;
  std::size_t first_output;

  const std::uint8_t* values(int four) const {
    return panel.blocks[block].values[static_cast<std::size_t>(four)][first_output].data();
  }
  const float* scales() const { return panel.blocks[block].scales.data() + first_output; }
  const float* second_scales() const {
    return panel.second_scales + std::ptrdiff_t{kPanelOutputs} * block + first_output;
  }
};

/// Integers, scaled, to the sums of floats.
template <int kRows, int kRegisters>
TANDEM_AVX2 inline void add_scaled(const Products<kRows, kRegisters>& products, const float* scales,
                                   const Inputs& inputs, Sums<kRows, kRegisters>& sums) {
#pragma GCC unroll 4
  for (int i = 0; i < kRegisters; ++i) {
    const __m256 of_outputs = _mm256_loadu_ps(scales + kLanes * i);
#pragma GCC unroll 4
    for (int row = 0; row < kRows; ++row) {
      const __m256 scaled = _mm256_mul_ps(_mm256_cvtepi32_ps(products[row][i]), of_outputs);
      sums[row][i] = _mm256_fmadd_ps(scaled, _mm256_set1_ps(inputs.of_row(row).scale), sums[row][i]);
    }
  }
}

/// Half a block's products with weights of six bits. Two products of bytes and their sum are one instruction,
/// of unsigned and signed ones, and all eight pairs of a lane are summed in 16 bits. With weights 32 too high
/// that overflows; it begins at what they add by it, and so comes back: without it all fit
/// (8 * 32 * 127 < 2^15).
template <int kRows, int kRegisters>
TANDEM_AVX2 inline void multiply_half(const Weights& weights, const Inputs& inputs, int half,
                                      Products<kRows, kRegisters>& products) {
  Products<kRows, kRegisters> sums;
#pragma GCC unroll 4
  for (int row = 0; row < kRows; ++row)
#pragma GCC unroll 4
    for (int i = 0; i < kRegisters; ++i)
      sums[row][i] = _mm256_set1_epi32(
          std::bit_cast<std::int32_t>(inputs.of_row(row).half_offsets[static_cast<std::size_t>(half)]));
#pragma GCC unroll 4
  for (int four = kFours / 2 * half; four < kFours / 2 * (half + 1); ++four) {
    __m256i x[kRows];
    load_four<kRows>(inputs, four, x);
#pragma GCC unroll 4
    for (int i = 0; i < kRegisters; ++i) {
      const __m256i of_outputs = four_weights(weights.values(four), i);
#pragma GCC unroll 4
      for (int row = 0; row < kRows; ++row) {
        sums[row][i] = _mm256_add_epi16(sums[row][i], _mm256_maddubs_epi16(of_outputs, x[row]));
        keep_in_register(sums[row][i]);
      }
    }
  }
#pragma GCC unroll 4
  for (int row = 0; row < kRows; ++row)
#pragma GCC unroll 4
    for (int i = 0; i < kRegisters; ++i) products[row][i] = sums_of_pairs(sums[row][i]);
}

struct SixBits {
  template <int kRows, int kRegisters>
  TANDEM_AVX2 static inline void add_block(const Weights& weights, const Inputs& inputs,
                                           Sums<kRows, kRegisters>& sums) {
    Products<kRows, kRegisters> products, second;
    multiply_half<kRows, kRegisters>(weights, inputs, 0, products);
    multiply_half<kRows, kRegisters>(weights, inputs, 1, second);
#pragma GCC unroll 4
    for (int row = 0; row < kRows; ++row)
#pragma GCC unroll 4
      for (int i = 0; i < kRegisters; ++i)
        products[row][i] = _mm256_add_epi32(products[row][i], second[row][i]);
    add_scaled<kRows, kRegisters>(products, weights.scales(), inputs, sums);
  }
};

struct SixBitHalves {
  template <int kRows, int kRegisters>
  TANDEM_AVX2 static inline void add_block(const Weights& weights, const Inputs& inputs,
                                           Sums<kRows, kRegisters>& sums) {
    Products<kRows, kRegisters> products;
    multiply_half<kRows, kRegisters>(weights, inputs, 0, products);
    add_scaled<kRows, kRegisters>(products, weights.scales(), inputs, sums);
    multiply_half<kRows, kRegisters>(weights, inputs, 1, products);
    add_scaled<kRows, kRegisters>(products, weights.second_scales(), inputs, sums);
  }
};

/// The weight's sign goes to the input, and what is left of it is unsigned. Two products fit 16 bits.
struct EightBits {
  template <int kRows, int kRegisters>
  TANDEM_AVX2 static inline void add_block(const Weights& weights, const Inputs& inputs,
                                           Sums<kRows, kRegisters>& sums) {
    Products<kRows, kRegisters> products = {};
#pragma GCC unroll 8
    for (int four = 0; four < kFours; ++four) {
      __m256i x[kRows];
      load_four<kRows>(inputs, four, x);
#pragma GCC unroll 4
      for (int i = 0; i < kRegisters; ++i) {
        const __m256i of_outputs = _mm256_xor_si256(four_weights(weights.values(four), i),
                                                    _mm256_set1_epi8(static_cast<char>(0x80)));
        const __m256i magnitudes = _mm256_abs_epi8(of_outputs);
#pragma GCC unroll 4
        for (int row = 0; row < kRows; ++row) {
          const __m256i pairs = _mm256_maddubs_epi16(magnitudes, _mm256_sign_epi8(x[row], of_outputs));
          products[row][i] = _mm256_add_epi32(products[row][i], sums_of_pairs(pairs));
          keep_in_register(products[row][i]);
        }
      }
    }
    add_scaled<kRows, kRegisters>(products, weights.scales(), inputs, sums);
  }
};

/// kRegisters of outputs, from output `first` of the panel on. Not inline, as the compiler then finds no
/// registers for it.
template <typename Form, int kRows, int kRegisters>
[[gnu::noinline]] TANDEM_AVX2 void multiply_outputs(const BlockTile& tile, std::size_t first,
                                                    Fetching& fetching) {
  Sums<kRows, kRegisters> sums = {};
  Inputs inputs{.block = tile.inputs, .n_blocks = tile.n_blocks};
  for (int block = 0; block < tile.n_blocks; ++block, ++inputs.block) {
    fetching.step();
    Form::template add_block<kRows, kRegisters>(
        {.panel = tile.weights, .block = block, .first_output = first}, inputs, sums);
  }
  for (int row = 0; row < kRows; ++row)
    for (int i = 0; i < kRegisters; ++i)
      _mm256_storeu_ps(tile.out + tile.out_row * row + first + kLanes * i, sums[row][i]);
}

/// A panel's memory is read once from end to end where the rows leave registers for all of its outputs: few
/// rows are bound by that.
template <typename Form, int kRows>
TANDEM_AVX2 void multiply_rows(const BlockTile& tile) {
  constexpr int kRegisters = kRows <= 2 ? kWhole : kHalf;
  Fetching fetching(tile.fetch, kWhole / kRegisters * tile.n_blocks);
  for (std::size_t first = 0; first < kPanelOutputs; first += std::size_t{kLanes} * kRegisters)
    multiply_outputs<Form, kRows, kRegisters>(tile, first, fetching);
}

template <typename Form>
BlockKernel kernel(WeightForm form) {
  return {"AVX2",
          form,
          {multiply_rows<Form, 1>, multiply_rows<Form, 2>, multiply_rows<Form, 3>,
           multiply_rows<Form, kTileRows>}};
}

}  // namespace

std::vector<BlockKernel> avx2_kernels() {
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return {};
  return {kernel<SixBits>(WeightForm::kSix), kernel<SixBitHalves>(WeightForm::kSixHalves),
          kernel<EightBits>(WeightForm::kEight)};
}

}  // namespace tandem

#endif
