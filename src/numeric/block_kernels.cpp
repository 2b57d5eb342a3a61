#include "numeric/block_kernels.h"

#ifdef __x86_64__
#include <immintrin.h>
#endif

#include <cstring>

namespace tandem {

#ifdef __x86_64__

// Loops have fixed counts and are unrolled, so that what they fill stays in registers.

namespace {

// ---- AVX-512 VNNI: four products of bytes and their sum are one instruction -------------------------------

namespace vnni {

constexpr int kLanes = 16;                       // of a register
constexpr int kHalves = kPanelOutputs / kLanes;  // of a panel

#define TANDEM_VNNI __attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni")))

/// Sums stay in registers: 8 of integers, 8 of floats.
template <int kRows>
TANDEM_VNNI void multiply_rows(const BlockTile& tile) {
  __m512 sums[kRows][kHalves];
  for (auto& row : sums)
    for (__m512& sum : row) sum = _mm512_setzero_ps();
  const WeightBlock* weights = tile.weights;
  const InputBlock* inputs = tile.inputs;
  for (int block = 0; block < tile.n_blocks; ++block, ++weights, ++inputs) {
    __m512i products[kRows][kHalves];
#pragma GCC unroll 4
    for (int row = 0; row < kRows; ++row)
#pragma GCC unroll 2
      for (int half = 0; half < kHalves; ++half)
        products[row][half] = _mm512_set1_epi32(inputs[std::ptrdiff_t{row} * tile.n_blocks].offset);
#pragma GCC unroll 8
    for (int four = 0; four < kBlockInputs / 4; ++four) {
      const std::uint8_t* of_four = weights->values[static_cast<std::size_t>(four)].front().data();
#pragma GCC unroll 4
      for (int row = 0; row < kRows; ++row) {
        std::int32_t x;
        std::memcpy(&x, &inputs[std::ptrdiff_t{row} * tile.n_blocks].values[std::size_t{4} * four], sizeof x);
#pragma GCC unroll 2
        for (int half = 0; half < kHalves; ++half)
          products[row][half] = _mm512_dpbusd_epi32(
              products[row][half], _mm512_load_si512(of_four + std::ptrdiff_t{4 * kLanes} * half),
              _mm512_set1_epi32(x));
      }
    }
#pragma GCC unroll 2
    for (int half = 0; half < kHalves; ++half) {
      const __m512 scales = _mm512_load_ps(weights->scales.data() + std::ptrdiff_t{kLanes} * half);
#pragma GCC unroll 4
      for (int row = 0; row < kRows; ++row) {
        const __m512 scale = _mm512_set1_ps(inputs[std::ptrdiff_t{row} * tile.n_blocks].scale);
        const __m512 scaled = _mm512_mul_ps(_mm512_cvtepi32_ps(products[row][half]), scales);
        sums[row][half] = _mm512_fmadd_ps(scaled, scale, sums[row][half]);
      }
    }
  }
  for (int row = 0; row < kRows; ++row)
    for (int half = 0; half < kHalves; ++half)
      _mm512_storeu_ps(tile.out + tile.out_row * row + std::ptrdiff_t{kLanes} * half, sums[row][half]);
}

bool is_here() {
  return __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl");
}

constexpr BlockKernel kKernel{
    "AVX-512 VNNI", {multiply_rows<1>, multiply_rows<2>, multiply_rows<3>, multiply_rows<kTileRows>}};

}  // namespace vnni

// ---- AVX2: two products of 16 bits and their sum are one instruction --------------------------------------

namespace avx2 {

constexpr int kLanes = 8;
constexpr int kHalf = 2;                                   // registers of outputs at a time
constexpr int kHalves = kPanelOutputs / (kLanes * kHalf);  // of a panel
constexpr int kFours = kBlockInputs / 4;

#define TANDEM_AVX2 __attribute__((target("avx2,fma")))

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

/// Left to itself the compiler adds up products first, finds no register for them and is half as fast.
TANDEM_AVX2 inline void add_in_place(__m256i x, __m256i& sum) {
  sum = _mm256_add_epi32(sum, x);
  __asm__("" : "+x"(sum));
}

/// Some rows' inputs of a block.
struct Inputs {
  const InputBlock* block;  // of the first row
  int n_blocks;             // from one row to the next
  const Pairs* pairs;       // of each row, the same inputs

  const InputBlock& of_row(int row) const { return block[std::ptrdiff_t{row} * n_blocks]; }
};

template <int kRows>
using Sums = __m256[kRows][kHalf];

/// One block's products with kHalf registers of outputs, summed in as many registers for each row.
/// Not inline, as the compiler then finds no registers for it.
///   values, scales  of the first of those outputs
template <int kRows>
[[gnu::noinline]] TANDEM_AVX2 void add_products(const std::uint8_t* values, const float* scales,
                                                const Inputs& inputs, Sums<kRows>& sums) {
  __m256i products[kRows][kHalf];
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
      const __m256i x_even = _mm256_set1_epi32(inputs.pairs[row].even[four]);
      const __m256i x_odd = _mm256_set1_epi32(inputs.pairs[row].odd[four]);
#pragma GCC unroll 2
      for (int i = 0; i < kHalf; ++i) {
        add_in_place(_mm256_madd_epi16(even[i], x_even), products[row][i]);
        add_in_place(_mm256_madd_epi16(odd[i], x_odd), products[row][i]);
      }
    }
  }
#pragma GCC unroll 2
  for (int i = 0; i < kHalf; ++i) {
    const __m256 of_outputs = _mm256_load_ps(scales + kLanes * i);
#pragma GCC unroll 4
    for (int row = 0; row < kRows; ++row) {
      const __m256 scaled = _mm256_mul_ps(_mm256_cvtepi32_ps(products[row][i]), of_outputs);
      sums[row][i] = _mm256_fmadd_ps(scaled, _mm256_set1_ps(inputs.of_row(row).scale), sums[row][i]);
    }
  }
}

/// Integers stay in registers, 8 of them; sums of floats do not, which are touched once in a block. A block's
/// inputs are widened while the one before is multiplied: parts of what was just stored are slow to load.
template <int kRows>
TANDEM_AVX2 void multiply_rows(const BlockTile& tile) {
  Sums<kRows> sums[kHalves];
  for (auto& half : sums)
    for (auto& row : half)
      for (__m256& sum : row) sum = _mm256_setzero_ps();
  Pairs buffers[2][kRows];
  widen_block<kRows>(tile, 0, buffers[0]);
  for (int block = 0; block < tile.n_blocks; ++block) {
    if (block + 1 < tile.n_blocks) widen_block<kRows>(tile, block + 1, buffers[(block + 1) % 2]);
    const Inputs inputs{.block = tile.inputs + block, .n_blocks = tile.n_blocks, .pairs = buffers[block % 2]};
    const WeightBlock& weights = tile.weights[block];
#pragma GCC unroll 1
    for (int half = 0; half < kHalves; ++half) {
      const std::size_t first = std::size_t{kLanes * kHalf} * static_cast<std::size_t>(half);
      add_products<kRows>(weights.values[0][first].data(), weights.scales.data() + first, inputs, sums[half]);
    }
  }
  for (int half = 0; half < kHalves; ++half)
    for (int row = 0; row < kRows; ++row)
      for (int i = 0; i < kHalf; ++i)
        _mm256_storeu_ps(tile.out + tile.out_row * row + kLanes * (kHalf * half + i), sums[half][row][i]);
}

bool is_here() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

constexpr BlockKernel kKernel{
    "AVX2", {multiply_rows<1>, multiply_rows<2>, multiply_rows<3>, multiply_rows<kTileRows>}};

}  // namespace avx2

}  // namespace

std::vector<BlockKernel> block_kernels() {
  std::vector<BlockKernel> kernels;
  if (vnni::is_here()) kernels.push_back(vnni::kKernel);
  if (avx2::is_here()) kernels.push_back(avx2::kKernel);
  return kernels;
}

#else

std::vector<BlockKernel> block_kernels() {
  return {};
}

#endif

}  // namespace tandem
