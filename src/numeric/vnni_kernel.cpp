// Products in blocks with AVX-512 VNNI: four products of bytes and their sum are one instruction. Loops have
// fixed counts and are unrolled, so that what they fill stays in registers.
#ifdef __x86_64__
#include <immintrin.h>

#include <cstring>

#include "numeric/x86_kernels.h"

namespace tandem {

namespace {

constexpr int kLanes = 16;                       // of a register
constexpr int kHalves = kPanelOutputs / kLanes;  // of a panel

#define TANDEM_VNNI __attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni")))

/// Sums stay in registers: 8 of integers, 8 of floats.
template <int kRows>
TANDEM_VNNI void multiply_rows(const BlockTile& tile) {
  __m512 sums[kRows][kHalves];
  for (auto& row : sums)
    for (__m512& sum : row) sum = _mm512_setzero_ps();
  const WeightBlock* weights = tile.weights.blocks;
  const InputBlock* inputs = tile.inputs;
  Fetching fetching(tile.fetch, tile.n_blocks);
  for (int block = 0; block < tile.n_blocks; ++block, ++weights, ++inputs) {
    fetching.step();
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

}  // namespace

std::vector<BlockKernel> vnni_kernels() {
  if (!__builtin_cpu_supports("avx512vnni") || !__builtin_cpu_supports("avx512bw") ||
      !__builtin_cpu_supports("avx512vl"))
    return {};
  return {{"AVX-512 VNNI",
           WeightForm::kEight,
           {multiply_rows<1>, multiply_rows<2>, multiply_rows<3>, multiply_rows<kTileRows>}}};
}

}  // namespace tandem

#endif
