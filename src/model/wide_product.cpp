#include "model/wide_product.h"

#include <ggml.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "model/wide_matrix.h"
#include "tandem/error.h"

namespace tandem {

namespace {

const InputBlock* inputs_of(const ggml_tensor* x, int row) {
  return reinterpret_cast<const InputBlock*>(static_cast<const std::byte*>(x->data) +
                                             x->nb[1] * static_cast<std::size_t>(row));
}

float* outputs_of(ggml_tensor* y, int row) {
  return static_cast<float*>(y->data) + y->ne[0] * row;
}

/// A tile whose panel has outputs past the matrix' last.
void multiply_last(const BlockTile& tile, int n_outputs) {
  std::array<float, std::size_t{kTileRows} * kPanelOutputs> outputs;
  BlockTile padded = tile;
  padded.out = outputs.data();
  padded.out_row = kPanelOutputs;
  multiply(padded);
  for (int row = 0; row < tile.n_rows; ++row) {
    std::memcpy(tile.out + tile.out_row * static_cast<std::size_t>(row),
                outputs.data() + std::ptrdiff_t{kPanelOutputs} * row,
                sizeof(float) * static_cast<std::size_t>(n_outputs));
  }
}

constexpr int kTilesToFetch = 8;  // fewer are too short a time

/// Weights come from afar while others are at work. Tells the CPU which of a panel it will need, in as many
/// parts as there are tiles before it.
void fetch_part(const WideMatrix& matrix, int panel, int part, int n_parts) {
  constexpr std::size_t kLine = 64;
  const auto* begin = reinterpret_cast<const std::byte*>(matrix.panel(panel));
  const std::size_t n_lines = sizeof(WeightBlock) / kLine * static_cast<std::size_t>(matrix.n_blocks());
  const std::size_t first = n_lines * static_cast<std::size_t>(part) / static_cast<std::size_t>(n_parts);
  const std::size_t end = n_lines * static_cast<std::size_t>(part + 1) / static_cast<std::size_t>(n_parts);
  for (std::size_t line = first; line < end; ++line) __builtin_prefetch(begin + kLine * line, 0, 2);
}

void multiply_panel(const WideMatrix& matrix, int panel, const ggml_tensor* x, ggml_tensor* y) {
  const auto n_rows = static_cast<int>(x->ne[1]);
  const int n_tiles = (n_rows + kTileRows - 1) / kTileRows;
  const int n_outputs = std::min(kPanelOutputs, matrix.n_out() - kPanelOutputs * panel);
  for (int row = 0; row < n_rows; row += kTileRows) {
    if (n_tiles >= kTilesToFetch && panel + 1 < matrix.n_panels())
      fetch_part(matrix, panel + 1, row / kTileRows, n_tiles);
    const BlockTile tile{.weights = matrix.panel(panel),
                         .inputs = inputs_of(x, row),
                         .n_blocks = matrix.n_blocks(),
                         .n_rows = std::min(kTileRows, n_rows - row),
                         .out = outputs_of(y, row) + std::ptrdiff_t{kPanelOutputs} * panel,
                         .out_row = static_cast<std::size_t>(y->ne[0])};
    n_outputs == kPanelOutputs ? multiply(tile) : multiply_last(tile, n_outputs);
  }
}

/// Some panels at a time: a thread that was held up leaves the others little to wait for.
void run_product(ggml_tensor* y, int, int n_threads, void* data) {
  constexpr int kTurns = 8;  // of each thread
  auto& node = *static_cast<WideProducts::Node*>(data);
  const WideMatrix& matrix = *node.matrix;
  const int n_panels = matrix.n_panels();
  const int n_at_a_time = std::max(1, n_panels / (kTurns * n_threads));
  for (;;) {
    const int begin = node.next_panel.fetch_add(n_at_a_time, std::memory_order_relaxed);
    if (begin >= n_panels) return;
    for (int panel = begin; panel < std::min(begin + n_at_a_time, n_panels); ++panel)
      multiply_panel(matrix, panel, y->src[0], y);
  }
}

}  // namespace

void WideProducts::give_out_anew() {
  for (std::size_t i = 0; i < n_used_; ++i) nodes_[i].next_panel.store(0, std::memory_order_relaxed);
}

WideProducts::Node& WideProducts::next_node(const WideMatrix& matrix) {
  if (n_used_ == nodes_.size()) nodes_.emplace_back();
  Node& node = nodes_[n_used_++];
  node.matrix = &matrix;
  return node;
}

ggml_tensor* WideProducts::multiply(ggml_context* context, const WideMatrix& matrix, ggml_tensor* x) {
  const std::size_t row_bytes = sizeof(InputBlock) * static_cast<std::size_t>(matrix.n_blocks());
  TANDEM_CHECK(x->type == GGML_TYPE_I8 && x->nb[1] == row_bytes);
  return ggml_custom_4d(context, GGML_TYPE_F32, matrix.n_out(), x->ne[1], 1, 1, &x, 1, run_product,
                        GGML_N_TASKS_MAX, &next_node(matrix));
}

}  // namespace tandem
