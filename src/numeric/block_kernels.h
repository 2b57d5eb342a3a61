// Instructions of this CPU for products in blocks.
#pragma once

#include <array>
#include <string_view>
#include <vector>

#include "numeric/block_products.h"

namespace tandem {

struct BlockKernel {
  using Multiply = void (*)(const BlockTile&);
  std::string_view name;
  WeightForm form;                          // of the tiles that it multiplies
  std::array<Multiply, kTileRows> by_rows;  // for tiles of 1, 2, ... rows

  void multiply(const BlockTile& tile) const { by_rows[static_cast<std::size_t>(tile.n_rows) - 1](tile); }
};

/// Those that this CPU can run, the fastest first.
std::vector<BlockKernel> block_kernels();

}  // namespace tandem
