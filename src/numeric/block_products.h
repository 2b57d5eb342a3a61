// Products of rows with a matrix, both in blocks of 32 numbers of eight bits with a scale each.
//
// What ggml's products with q8_0 compute, for many rows at once: integers are multiplied and summed within a
// block, sums of blocks are scaled and added up in f32. A CPU with AVX-512 VNNI does this twice as fast as a
// product in bfloat16, one with AVX2 a quarter faster than it could multiply floats (block_kernels.h).
// Elsewhere plain loops give the very same sums, slowly.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace tandem {

inline constexpr int kBlockInputs = 32;
inline constexpr int kPanelOutputs = 32;  // that lie together
inline constexpr int kTileRows = 4;       // multiplied together

/// Some inputs of a row.
struct InputBlock {
  std::array<std::int8_t, kBlockInputs> values;
  float scale;
  /// The sum of the values, times -128: what the weights are stored too high by.
  std::int32_t offset;
};

/// Some inputs of a panel of outputs.
struct alignas(64) WeightBlock {
  /// Plus 128, since the CPU multiplies unsigned with signed numbers; four inputs of an output side by side.
  std::array<std::array<std::array<std::uint8_t, 4>, kPanelOutputs>, kBlockInputs / 4> values;
  std::array<float, kPanelOutputs> scales;
};

/// Whether this CPU has instructions that make it worth while.
bool has_block_products();

/// Rounds numbers to -127..127 times a scale, as ggml's q8_0 does. The scale has 11 bits, as f16 has, but
/// no bounds. A block with an infinity or a NaN has such a scale.
///   x    [n], n a multiple of kBlockInputs
///   out  [n / kBlockInputs]
void round_row(const float* x, InputBlock* out, std::int64_t n);
/// The same for the weights of a panel, of one row after the other.
///   rows  [kPanelOutputs, n_in]
///   out   [n_in / kBlockInputs]
void round_panel(const float* rows, WeightBlock* out, std::int64_t n_in);

/// A tile of a product: some rows, one panel.
struct BlockTile {
  const WeightBlock* weights;  // [n_blocks]
  const InputBlock* inputs;    // [n_rows, n_blocks]
  int n_blocks;
  int n_rows;           // 1 to kTileRows
  float* out;           // [n_rows, kPanelOutputs]
  std::size_t out_row;  // floats from one row of `out` to the next
};
void multiply(const BlockTile& tile);
/// The same in plain loops, whatever the CPU.
void multiply_plainly(const BlockTile& tile);

}  // namespace tandem
