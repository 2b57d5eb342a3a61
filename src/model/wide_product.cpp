#include "model/wide_product.h"

#include <ggml.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <span>
#include <vector>

#include "model/wide_matrix.h"
#include "numeric/row_loops.h"
#include "tandem/error.h"

namespace tandem {

namespace {

InputBlock* blocks_of(ggml_tensor* rows, int row) {
  return reinterpret_cast<InputBlock*>(static_cast<std::byte*>(rows->data) +
                                       rows->nb[1] * static_cast<std::size_t>(row));
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

/// Where a tile's outputs go.
struct Outputs {
  float* first;
  std::size_t row;  // floats from one row to the next
};

/// A panel with all rows, a tile at a time. `outputs_of(row)` says where a tile goes that begins with that
/// row, `done(row, n_rows)` hears that it is there.
///   next  memory that is needed after it
template <typename OutputsOf, typename Done>
void multiply_tiles(const WideMatrix& matrix, int panel, ggml_tensor* x, std::span<const std::byte> next,
                    OutputsOf outputs_of, Done done) {
  const auto n_rows = static_cast<int>(x->ne[1]);
  const int n_tiles = (n_rows + kTileRows - 1) / kTileRows;
  const int n_outputs = std::min(kPanelOutputs, matrix.n_out() - kPanelOutputs * panel);
  for (int i = 0; i < n_tiles; ++i) {
    const int row = kTileRows * i;
    const Outputs out = outputs_of(row);
    const BlockTile tile{.weights = matrix.panel(panel),
                         .bits = matrix.bits(),
                         .inputs = blocks_of(x, row),
                         .n_blocks = matrix.n_blocks(),
                         .n_rows = std::min(kTileRows, n_rows - row),
                         .out = out.first,
                         .out_row = out.row,
                         .fetch = part_of(next, i, n_tiles)};
    n_outputs == kPanelOutputs ? multiply(tile) : multiply_last(tile, n_outputs);
    done(row, tile.n_rows);
  }
}

void multiply_panel(const WideMatrix& matrix, int panel, ggml_tensor* x, std::span<const std::byte> next,
                    ggml_tensor* y) {
  const auto outputs_of = [&](int row) -> Outputs {
    const auto width = static_cast<std::size_t>(y->ne[0]);
    return {.first = static_cast<float*>(y->data) + y->ne[0] * row + std::ptrdiff_t{kPanelOutputs} * panel,
            .row = width};
  };
  multiply_tiles(matrix, panel, x, next, outputs_of, [](int, int) {});
}

/// The panel of both matrices, and of each row the block that comes of them: a panel is as wide as a block.
void gate_panel(const WideProducts::Node& node, int panel, ggml_tensor* x, std::span<const std::byte> next,
                ggml_tensor* y) {
  static_assert(kPanelOutputs == kBlockInputs);
  thread_local std::vector<float> gates;  // [n_rows, kPanelOutputs]
  gates.resize(static_cast<std::size_t>(x->ne[1]) * kPanelOutputs);
  std::array<float, std::size_t{kTileRows} * kPanelOutputs> ups;
  const auto gates_of = [&](int row) -> Outputs {
    return {.first = gates.data() + std::ptrdiff_t{kPanelOutputs} * row, .row = kPanelOutputs};
  };
  const auto ups_of = [&](int) -> Outputs { return {.first = ups.data(), .row = kPanelOutputs}; };
  const auto gate_tile = [&](int first, int n_rows) {
    for (int i = 0; i < n_rows; ++i) {
      gate_row(node.activation, gates_of(first + i).first, ups.data() + std::ptrdiff_t{kPanelOutputs} * i,
               blocks_of(y, first + i) + panel, kBlockInputs);
    }
  };
  multiply_tiles(*node.matrix, panel, x, memory_of(*node.up, panel), gates_of, [](int, int) {});
  multiply_tiles(*node.up, panel, x, next, ups_of, gate_tile);
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
      node.up == nullptr ? multiply_panel(matrix, panel, y->src[0], next, y)
                         : gate_panel(node, panel, y->src[0], next, y);
    }
  }
}

void check_blocks(const WideMatrix& matrix, const ggml_tensor* x) {
  const std::size_t row_bytes = sizeof(InputBlock) * static_cast<std::size_t>(matrix.n_blocks());
  TANDEM_CHECK(x->type == GGML_TYPE_I8 && x->nb[1] == row_bytes);
}

}  // namespace

void WideProducts::give_out_anew() {
  for (std::size_t i = 0; i < n_used_; ++i) nodes_[i].next_panel.store(0, std::memory_order_relaxed);
}

WideProducts::Node& WideProducts::next_node(const WideMatrix& matrix, const WideMatrix* up) {
  if (n_used_ == nodes_.size()) nodes_.emplace_back();
  Node& node = nodes_[n_used_++];
  node.matrix = &matrix;
  node.up = up;
  node.next_matrix = nullptr;
  if (n_used_ > 1) nodes_[n_used_ - 2].next_matrix = &matrix;
  return node;
}

ggml_tensor* WideProducts::multiply(ggml_context* context, const WideMatrix& matrix, ggml_tensor* x) {
  check_blocks(matrix, x);
  return ggml_custom_4d(context, GGML_TYPE_F32, matrix.n_out(), x->ne[1], 1, 1, &x, 1, run_product,
                        GGML_N_TASKS_MAX, &next_node(matrix, nullptr));
}

ggml_tensor* WideProducts::gate(ggml_context* context, GateActivation activation, const WideMatrix& gate,
                                const WideMatrix& up, ggml_tensor* x) {
  check_blocks(gate, x);
  check_blocks(up, x);
  TANDEM_CHECK(gate.n_out() == up.n_out() && gate.n_out() % kBlockInputs == 0);
  Node& node = next_node(gate, &up);
  node.activation = activation;
  const std::size_t n_bytes = sizeof(InputBlock) * static_cast<std::size_t>(gate.n_panels());
  return ggml_custom_4d(context, GGML_TYPE_I8, static_cast<std::int64_t>(n_bytes), x->ne[1], 1, 1, &x, 1,
                        run_product, GGML_N_TASKS_MAX, &node);
}

}  // namespace tandem
