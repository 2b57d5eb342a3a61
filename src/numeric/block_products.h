// Products of rows with a matrix, both in blocks of 32 integers with a scale each.
//
// What ggml's products with q8_0 compute, for many rows at once: integers are multiplied and summed within a
// block, sums of blocks are scaled and added up in f32. Rows have eight bits, and weights eight or six: a CPU
// with AVX2 multiplies the latter one and a half times as fast. Elsewhere plain loops give the very same
// sums, slowly (block_kernels.h; bench/block_products.cpp has what each CPU makes of it).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace tandem {

inline constexpr int kBlockInputs = 32;
inline constexpr int kPanelOutputs = 32;  // that lie together
inline constexpr int kTileRows = 4;       // multiplied together

/// How many bits a weight has, and for how many inputs there is a scale.
enum class WeightForm : std::uint8_t {
  kSix,        // a scale for a block
  kSixHalves,  // one for each half of it
  kEight       // one for a block
};

/// What weights are stored too high by, since CPUs multiply unsigned with signed numbers.
constexpr std::int32_t zero_of(WeightForm form) {
  return form == WeightForm::kEight ? 128 : 32;
}

/// Some inputs of a row.
struct InputBlock {
  std::array<std::int8_t, kBlockInputs> values;
  float scale;
  /// The sum of the values, times what weights of eight bits are stored too high by, times -1.
  std::int32_t offset;
  /// The same for weights of six bits, of each half's values in two: of the first and second of each four,
  /// and of the third and fourth.
  std::array<std::array<std::int16_t, 2>, 2> half_offsets;
};

/// Some inputs of a panel of outputs.
struct alignas(64) WeightBlock {
  /// Stored too high by zero_of(form); four inputs of an output side by side.
  std::array<std::array<std::array<std::uint8_t, 4>, kPanelOutputs>, kBlockInputs / 4> values;
  std::array<float, kPanelOutputs> scales;
};

/// A panel's blocks.
template <typename Block, typename Scale>
struct Panel {
  Block* blocks;         // [n_blocks]
  Scale* second_scales;  // of kSixHalves: [n_blocks, kPanelOutputs], the first being in the blocks
};
using NewPanel = Panel<WeightBlock, float>;
using WeightPanel = Panel<const WeightBlock, const float>;

/// Whether this CPU has instructions that make it worth while.
bool has_block_products();
/// What its fastest products have.
WeightForm fastest_form();

/// Rounds numbers to -127..127 times a scale, as ggml's q8_0 does. The scale has 11 bits, as f16 has, but
/// no bounds. A block with an infinity or a NaN has such a scale.
///   x    [n], n a multiple of kBlockInputs
///   out  [n / kBlockInputs]
void round_row(const float* x, InputBlock* out, std::int64_t n);
/// The same for the weights of a panel, of one row after the other: to -127..127, or to -32..31 in six bits
/// with the scale of sixteen that loses least, which leaves weights of q4_0 and q5_0 what they are (in eight
/// bits too), and by halves those of q6_K but for a scale's last bits.
///   rows  [kPanelOutputs, n_in]
///   out   of n_in / kBlockInputs blocks
void round_panel(const float* rows, WeightForm form, const NewPanel& out, std::int64_t n_in);

/// A tile of a product: some rows, one panel.
struct BlockTile {
  WeightPanel weights;
  WeightForm form;           // theirs
  const InputBlock* inputs;  // [n_rows, n_blocks]
  int n_blocks;
  int n_rows;           // 1 to kTileRows
  float* out;           // [n_rows, kPanelOutputs]
  std::size_t out_row;  // floats from one row of `out` to the next
  /// Memory that is needed next, fetched meanwhile; a matrix is seldom near.
  std::span<const std::byte> fetch = {};
};
void multiply(const BlockTile& tile);
/// The same in plain loops, whatever the CPU.
void multiply_plainly(const BlockTile& tile);

}  // namespace tandem
