#include "model/wide_product.h"

#include <ggml.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <span>

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

std::span<const std::byte> memory_of(const WideMatrix& matrix, int panel) {
  return std::as_bytes(std::span(matrix.panel(panel), static_cast<std::size_t>(matrix.n_blocks())));
}

std::span<const std::byte> part_of(std::span<const std::byte> memory, int part, int n_parts) {
  const auto at = [&](int i) {
    return memory.size() * static_cast<std::size_t>(i) / static_cast<std::size_t>(n_parts);
  };
  return memory.subspan(at(part), at(part + 1) - at(part));
}

///   next  memory that is needed after it
void multiply_panel(const WideMatrix& matrix, int panel, std::span<const std::byte> next,
                    const ggml_tensor* x, ggml_tensor* y) {
  const auto n_rows = static_cast<int>(x->ne[1]);
  const int n_tiles = (n_rows + kTileRows - 1) / kTileRows;
  const int n_outputs = std::min(kPanelOutputs, matrix.n_out() - kPanelOutputs * panel);
  for (int i = 0; i < n_tiles; ++i) {
    const int row = kTileRows * i;
    const BlockTile tile{.weights = matrix.panel(panel),
                         .bits = matrix.bits(),
                         .inputs = inputs_of(x, row),
                         .n_blocks = matrix.n_blocks(),
                         .n_rows = std::min(kTileRows, n_rows - row),
                         .out = outputs_of(y, row) + std::ptrdiff_t{kPanelOutputs} * panel,
                         .out_row = static_cast<std::size_t>(y->ne[0]),
                         .fetch = part_of(next, i, n_tiles)};
    n_outputs == kPanelOutputs ? multiply(tile) : multiply_last(tile, n_outputs);
  }
}

/// What a thread needs after the last panel of its turn: as far as one can tell, while others are at work
/// too.
std::span<const std::byte> after_turn(const WideProducts::Node& node, int thread) {
  const int next = node.next_panel.load(std::memory_order_relaxed);
  if (next < node.matrix->n_panels()) return memory_of(*node.matrix, next);
  if (node.next_matrix == nullptr) return {};
  return memory_of(*node.next_matrix, std::min(thread, node.next_matrix->n_panels() - 1));
}

/// Some panels at a time: a thread that was held up leaves the others little to wait for.
void run_product(ggml_tensor* y, int thread, int n_threads, void* data) {
  constexpr int kTurns = 8;  // of each thread
  auto& node = *static_cast<WideProducts::Node*>(data);
  const WideMatrix& matrix = *node.matrix;
  const int n_panels = matrix.n_panels();
  const int n_at_a_time = std::max(1, n_panels / (kTurns * n_threads));
  for (;;) {
    const int begin = node.next_panel.fetch_add(n_at_a_time, std::memory_order_relaxed);
    if (begin >= n_panels) return;
    const int end = std::min(begin + n_at_a_time, n_panels);
    for (int panel = begin; panel < end; ++panel) {
      const auto next = panel + 1 < end ? memory_of(matrix, panel + 1) : after_turn(node, thread);
      multiply_panel(matrix, panel, next, y->src[0], y);
    }
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
  node.next_matrix = nullptr;
  if (n_used_ > 1) nodes_[n_used_ - 2].next_matrix = &matrix;
  return node;
}

ggml_tensor* WideProducts::multiply(ggml_context* context, const WideMatrix& matrix, ggml_tensor* x) {
  const std::size_t row_bytes = sizeof(InputBlock) * static_cast<std::size_t>(matrix.n_blocks());
  TANDEM_CHECK(x->type == GGML_TYPE_I8 && x->nb[1] == row_bytes);
  return ggml_custom_4d(context, GGML_TYPE_F32, matrix.n_out(), x->ne[1], 1, 1, &x, 1, run_product,
                        GGML_N_TASKS_MAX, &next_node(matrix));
}

}  // namespace tandem
