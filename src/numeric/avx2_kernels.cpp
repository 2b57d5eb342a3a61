// Products in blocks with AVX2. Loops have fixed counts and are unrolled, so that integers stay in registers,
// 8 of them; sums of floats do not, which are touched once in a block.
#ifdef __x86_64__
#include <immintrin.h>

#include <array>
#include <cstring>

#include "numeric/x86_kernels.h"

#define TANDEM_AVX2 __attribute__((target("avx2,fma")))

namespace tandem {

namespace {

constexpr int kLanes = 8;
constexpr int kWhole = kPanelOutputs / kLanes;  // registers of a panel's outputs
constexpr int kHalf = kWhole / 2;               // as many at a time as leave room for sums of kTileRows
constexpr int kHalves = 2;
constexpr int kFours = kBlockInputs / 4;

template <int kRows, int kRegisters = kHalf>
using Products = __m256i[kRows][kRegisters];
template <int kRows, int kRegisters = kHalf>
using Sums = __m256[kRows][kRegisters];

/// Some rows' inputs of a block.
struct Inputs {
  const InputBlock* block;  // of the first row
  int n_blocks;             // from one row to the next

  const InputBlock& of_row(int row) const { return block[std::ptrdiff_t{row} * n_blocks]; }
};

/// Left to itself the compiler adds up products first, finds no register for them and is half as fast.
TANDEM_AVX2 inline void add_in_place(__m256i x, __m256i& sum) {
  sum = _mm256_add_epi32(sum, x);
  __asm__("" : "+x"(sum));
}

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

/// From output `first` of the panel on.
template <int kRows, int kRegisters>
TANDEM_AVX2 void store(const Sums<kRows, kRegisters>& sums, const BlockTile& tile, std::size_t first) {
  for (int row = 0; row < kRows; ++row)
    for (int i = 0; i < kRegisters; ++i)
      _mm256_storeu_ps(tile.out + tile.out_row * row + first + kLanes * i, sums[row][i]);
}

// ---- eight bits: two products of 16 bits and their sum are one instruction --------------------------------

/// Inputs of a block in 16 bits, of each four the first and third, the second and fourth side by side.
struct Pairs {
  alignas(32) std::int32_t even[kFours];
  alignas(32) std::int32_t odd[kFours];
};

TANDEM_AVX2 inline void widen(const InputBlock& block, Pairs& out) {
  const __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(block.values.data()));
  _mm256_store_si256(reinterpret_cast<__m256i*>(out.even), _mm256_srai_epi16(_mm256_slli_epi16(bytes, 8), 8));
  _mm256_store_si256(reinterpret_cast<__m256i*>(out.odd), _mm256_srai_epi16(bytes, 8));
}

/// Of the tile's rows.
template <int kRows>
TANDEM_AVX2 inline void widen_block(const BlockTile& tile, int block, Pairs* out) {
#pragma GCC unroll 4
  for (int row = 0; row < kRows; ++row)
    widen(tile.inputs[std::ptrdiff_t{row} * tile.n_blocks + block], out[row]);
}

/// One block's products with kHalf registers of outputs, summed in as many registers for each row.
/// Not inline, as the compiler then finds no registers for it.
///   values, scales  of the first of those outputs
///   pairs           the inputs, of each row
template <int kRows>
[[gnu::noinline]] TANDEM_AVX2 void add_products(const std::uint8_t* values, const float* scales,
                                                const Inputs& inputs, const Pairs* pairs, Sums<kRows>& sums) {
  Products<kRows> products;
#pragma GCC unroll 4
  for (int row = 0; row < kRows; ++row)
#pragma GCC unroll 2
    for (int i = 0; i < kHalf; ++i) products[row][i] = _mm256_set1_epi32(inputs.of_row(row).offset);
#pragma GCC unroll 8
  for (int four = 0; four < kFours; ++four, values += 4 * kPanelOutputs) {
    __m256i even[kHalf], odd[kHalf];
#pragma GCC unroll 2
    for (int i = 0; i < kHalf; ++i) {
      const __m256i bytes = _mm256_load_si256(reinterpret_cast<const __m256i*>(values) + i);
      even[i] = _mm256_and_si256(bytes, _mm256_set1_epi16(0xff));
      odd[i] = _mm256_srli_epi16(bytes, 8);
    }
#pragma GCC unroll 4
    for (int row = 0; row < kRows; ++row) {
      const __m256i x_even = _mm256_set1_epi32(pairs[row].even[four]);
      const __m256i x_odd = _mm256_set1_epi32(pairs[row].odd[four]);
#pragma GCC unroll 2
      for (int i = 0; i < kHalf; ++i) {
        add_in_place(_mm256_madd_epi16(even[i], x_even), products[row][i]);
        add_in_place(_mm256_madd_epi16(odd[i], x_odd), products[row][i]);
      }
    }
  }
  add_scaled<kRows, kHalf>(products, scales, inputs, sums);
}

/// A block's inputs are widened while the one before is multiplied: parts of what was just stored are slow to
/// load.
template <int kRows>
TANDEM_AVX2 void multiply_rows(const BlockTile& tile) {
  Sums<kRows> sums[kHalves] = {};
  Pairs buffers[2][kRows];
  Fetching fetching(tile.fetch, tile.n_blocks);
  widen_block<kRows>(tile, 0, buffers[0]);
  for (int block = 0; block < tile.n_blocks; ++block) {
    if (block + 1 < tile.n_blocks) widen_block<kRows>(tile, block + 1, buffers[(block + 1) % 2]);
    const Inputs inputs{.block = tile.inputs + block, .n_blocks = tile.n_blocks};
    const WeightBlock& weights = tile.weights[block];
    fetching.step();
#pragma GCC unroll 1
    for (int half = 0; half < kHalves; ++half) {
      const std::size_t first = std::size_t{kLanes * kHalf} * static_cast<std::size_t>(half);
      add_products<kRows>(weights.values[0][first].data(), weights.scales.data() + first, inputs,
                          buffers[block % 2], sums[half]);
    }
  }
  for (std::size_t half = 0; half < kHalves; ++half)
    store<kRows, kHalf>(sums[half], tile, kLanes * kHalf * half);
}

// ---- six bits: two products of bytes and their sum are one instruction ------------------------------------

// Sums of four products still fit 16 bits (4 * 63 * 127 < 2^15), so that half as many have to be widened as
// of seven bits.

/// Stays in memory, as all registers are taken.
alignas(32) constexpr std::array<std::int16_t, 16> kOnes{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};

/// Of 16 bits each, in 32.
TANDEM_AVX2 inline __m256i sums_of_pairs(__m256i x) {
  __m256i sums;
  __asm__("vpmaddwd %2, %1, %0" : "=x"(sums) : "x"(x), "m"(kOnes));
  return sums;
}

/// In a register for each product with it: the compiler would load it anew.
TANDEM_AVX2 inline __m256i four_inputs_of(const std::uint8_t* weights, int i) {
  __m256i loaded = _mm256_load_si256(reinterpret_cast<const __m256i*>(weights) + i);
  __asm__("" : "+x"(loaded));
  return loaded;
}

TANDEM_AVX2 inline __m256i four_everywhere(const InputBlock& inputs, int four) {
  std::int32_t x;
  std::memcpy(&x, inputs.values.data() + std::ptrdiff_t{4} * four, sizeof x);
  return _mm256_set1_epi32(x);
}

/// Where sums of integers begin.
template <int kRows, int kRegisters>
TANDEM_AVX2 inline void begin_at_offsets(const Inputs& inputs, Products<kRows, kRegisters>& products) {
#pragma GCC unroll 4
  for (int row = 0; row < kRows; ++row)
#pragma GCC unroll 4
    for (int i = 0; i < kRegisters; ++i)
      products[row][i] = _mm256_set1_epi32(inputs.of_row(row).offset / kEightOverSix);
}

TANDEM_AVX2 inline void add_eight_products(__m256i first, __m256i x_first, __m256i second, __m256i x_second,
                                           __m256i& sum) {
  const __m256i sums_of_four =
      _mm256_add_epi16(_mm256_maddubs_epi16(first, x_first), _mm256_maddubs_epi16(second, x_second));
  add_in_place(sums_of_pairs(sums_of_four), sum);
}

/// Of a block, to the rows' sums of integers.
template <int kRows>
TANDEM_AVX2 inline void add_six_bit_products(const std::uint8_t* values, const Inputs& inputs,
                                             Products<kRows>& products) {
#pragma GCC unroll 4
  for (int four = 0; four < kFours; four += 2, values += 8 * kPanelOutputs) {
    __m256i first[kHalf], second[kHalf];
#pragma GCC unroll 2
    for (int i = 0; i < kHalf; ++i) {
      first[i] = four_inputs_of(values, i);
      second[i] = four_inputs_of(values + 4 * kPanelOutputs, i);
    }
#pragma GCC unroll 4
    for (int row = 0; row < kRows; ++row) {
      const __m256i x_first = four_everywhere(inputs.of_row(row), four);
      const __m256i x_second = four_everywhere(inputs.of_row(row), four + 1);
#pragma GCC unroll 2
      for (int i = 0; i < kHalf; ++i)
        add_eight_products(first[i], x_first, second[i], x_second, products[row][i]);
    }
  }
}

/// The same for all outputs of a panel and so few rows that their inputs have room in registers.
template <int kRows>
TANDEM_AVX2 inline void add_six_bit_products(const std::uint8_t* values, const Inputs& inputs,
                                             Products<kRows, kWhole>& products) {
#pragma GCC unroll 4
  for (int four = 0; four < kFours; four += 2, values += 8 * kPanelOutputs) {
    __m256i x_first[kRows], x_second[kRows];
#pragma GCC unroll 2
    for (int row = 0; row < kRows; ++row) {
      x_first[row] = four_everywhere(inputs.of_row(row), four);
      x_second[row] = four_everywhere(inputs.of_row(row), four + 1);
    }
#pragma GCC unroll 4
    for (int i = 0; i < kWhole; ++i) {
      const __m256i first = four_inputs_of(values, i);
      const __m256i second = four_inputs_of(values + 4 * kPanelOutputs, i);
#pragma GCC unroll 2
      for (int row = 0; row < kRows; ++row)
        add_eight_products(first, x_first[row], second, x_second[row], products[row][i]);
    }
  }
}

/// kRegisters of outputs, from output `first` of the panel on.
template <int kRows, int kRegisters>
[[gnu::noinline]] TANDEM_AVX2 void multiply_outputs(const BlockTile& tile, std::size_t first,
                                                    Fetching& fetching) {
  Sums<kRows, kRegisters> sums = {};
  Inputs inputs{.block = tile.inputs, .n_blocks = tile.n_blocks};
  for (const WeightBlock* weights = tile.weights; weights != tile.weights + tile.n_blocks;
       ++weights, ++inputs.block) {
    fetching.step();
    Products<kRows, kRegisters> products;
    begin_at_offsets<kRows, kRegisters>(inputs, products);
    add_six_bit_products<kRows>(weights->values[0][first].data(), inputs, products);
    add_scaled<kRows, kRegisters>(products, weights->scales.data() + first, inputs, sums);
  }
  store<kRows, kRegisters>(sums, tile, first);
}

/// A panel's memory is read once from end to end where the rows leave registers for all of its outputs: few
/// rows are bound by that.
template <int kRows>
TANDEM_AVX2 void multiply_six_bit_rows(const BlockTile& tile) {
  constexpr int kRegisters = kRows <= 2 ? kWhole : kHalf;
  Fetching fetching(tile.fetch, kWhole / kRegisters * tile.n_blocks);
  for (std::size_t first = 0; first < kPanelOutputs; first += std::size_t{kLanes} * kRegisters)
    multiply_outputs<kRows, kRegisters>(tile, first, fetching);
}

}  // namespace

std::vector<BlockKernel> avx2_kernels() {
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return {};
  return {{"AVX2",
           WeightBits::kSix,
           {multiply_six_bit_rows<1>, multiply_six_bit_rows<2>, multiply_six_bit_rows<3>,
            multiply_six_bit_rows<kTileRows>}},
          {"AVX2",
           WeightBits::kEight,
           {multiply_rows<1>, multiply_rows<2>, multiply_rows<3>, multiply_rows<kTileRows>}}};
}

}  // namespace tandem

#endif
