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
  return std::as_bytes(std::span(matrix.panel(panel).blocks, static_cast<std::size_t>(matrix.n_blocks())));
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

/// A panel with some rows, a tile at a time. `outputs_of(row)` says where a tile goes that begins with that
/// row, `done(row, n_rows)` hears that it is there.
///   next  memory that is needed after it
template <typename OutputsOf, typename Done>
void multiply_tiles(const WideMatrix& matrix, int panel, ggml_tensor* x, RowRange rows,
                    std::span<const std::byte> next, OutputsOf outputs_of, Done done) {
  const int n_tiles = (rows.n + kTileRows - 1) / kTileRows;
  const int n_outputs = std::min(kPanelOutputs, matrix.n_out() - kPanelOutputs * panel);
  for (int i = 0; i < n_tiles; ++i) {
    const int row = rows.first + kTileRows * i;
    const Outputs out = outputs_of(row);
    const BlockTile tile{.weights = matrix.panel(panel),
                         .form = matrix.form(),
                         .inputs = blocks_of(x, row),
                         .n_blocks = matrix.n_blocks(),
                         .n_rows = std::min(kTileRows, rows.first + rows.n - row),
                         .out = out.first,
                         .out_row = out.row,
                         .fetch = part_of(next, i, n_tiles)};
    n_outputs == kPanelOutputs ? multiply(tile) : multiply_last(tile, n_outputs);
    done(row, tile.n_rows);
  }
}

void multiply_panel(const WideFactor& factor, int panel, ggml_tensor* x, std::span<const std::byte> next,
                    ggml_tensor* y) {
  const auto outputs_of = [&](int row) -> Outputs {
    const auto width = static_cast<std::size_t>(y->ne[0]);
    return {.first = static_cast<float*>(y->data) + y->ne[0] * row + std::ptrdiff_t{kPanelOutputs} * panel,
            .row = width};
  };
  multiply_tiles(*factor.matrix, panel, x, factor.rows, next, outputs_of, [](int, int) {});
}

/// The panel of both matrices, and of each row the block that comes of them: a panel is as wide as a block.
void gate_panel(const WideFactor& factor, GateActivation activation, int panel, ggml_tensor* x,
                std::span<const std::byte> next, ggml_tensor* y) {
  static_assert(kPanelOutputs == kBlockInputs);
  thread_local std::vector<float> gates;  // [n_rows, kPanelOutputs]
  gates.resize(static_cast<std::size_t>(factor.rows.n) * kPanelOutputs);
  std::array<float, std::size_t{kTileRows} * kPanelOutputs> ups;
  const auto gates_of = [&](int row) -> Outputs {
    return {.first = gates.data() + std::ptrdiff_t{kPanelOutputs} * (row - factor.rows.first),
            .row = kPanelOutputs};
  };
  const auto ups_of = [&](int) -> Outputs { return {.first = ups.data(), .row = kPanelOutputs}; };
  const auto gate_tile = [&](int first, int n_rows) {
    for (int i = 0; i < n_rows; ++i) {
      gate_row(activation, gates_of(first + i).first, ups.data() + std::ptrdiff_t{kPanelOutputs} * i,
               blocks_of(y, first + i) + panel, kBlockInputs);
    }
  };
  multiply_tiles(*factor.matrix, panel, x, factor.rows, memory_of(*factor.up, panel), gates_of,
                 [](int, int) {});
  multiply_tiles(*factor.up, panel, x, factor.rows, next, ups_of, gate_tile);
}

int n_panels_of(const WideProducts::Node& node) {
  return static_cast<int>(node.factors.size()) * node.factors.front().matrix->n_panels();
}

/// A panel of one of the factors.
struct PanelOf {
  const WideFactor& factor;
  int panel;
};

/// The i-th of all.
PanelOf panel_of(const WideProducts::Node& node, int i) {
  const int n_panels = node.factors.front().matrix->n_panels();
  return {node.factors[static_cast<std::size_t>(i / n_panels)], i % n_panels};
}

std::span<const std::byte> memory_of(const WideProducts::Node& node, int i) {
  const auto& [factor, panel] = panel_of(node, i);
  return memory_of(*factor.matrix, panel);
}

/// What a thread needs after the last panel of its turn: as far as one can tell, while others are at work
/// too.
std::span<const std::byte> after_turn(const WideProducts::Node& node, int thread) {
  const int next = node.next_panel.load(std::memory_order_relaxed);
  if (next < n_panels_of(node)) return memory_of(node, next);
  if (node.next == nullptr) return {};
  return memory_of(*node.next, std::min(thread, n_panels_of(*node.next) - 1));
}

/// Some panels at a time: a thread that was held up leaves the others little to wait for.
void run_product(ggml_tensor* y, int thread, int n_threads, void* data) {
  constexpr int kTurns = 8;  // of each thread
  auto& node = *static_cast<WideProducts::Node*>(data);
  const int n_panels = n_panels_of(node);
  const int n_at_a_time = std::max(1, n_panels / (kTurns * n_threads));
  for (;;) {
    const int begin = node.next_panel.fetch_add(n_at_a_time, std::memory_order_relaxed);
    if (begin >= n_panels) return;
    const int end = std::min(begin + n_at_a_time, n_panels);
    for (int i = begin; i < end; ++i) {
      const auto next = i + 1 < end ? memory_of(node, i + 1) : after_turn(node, thread);
      const auto& [factor, panel] = panel_of(node, i);
      factor.up == nullptr ? multiply_panel(factor, panel, y->src[0], next, y)
                           : gate_panel(factor, node.activation, panel, y->src[0], next, y);
    }
  }
}

void check_factors(std::span<const WideFactor> factors, const ggml_tensor* x) {
  TANDEM_CHECK(!factors.empty() && x->type == GGML_TYPE_I8);
  int n_rows = 0;
  for (const WideFactor& factor : factors) {
    const WideMatrix& matrix = *factor.matrix;
    TANDEM_CHECK(x->nb[1] == sizeof(InputBlock) * static_cast<std::size_t>(matrix.n_blocks()));
    TANDEM_CHECK(matrix.n_out() == factors.front().matrix->n_out());
    TANDEM_CHECK(factor.up == nullptr ||
                 (factor.up->n_in() == matrix.n_in() && factor.up->n_out() == matrix.n_out()));
    TANDEM_CHECK(factor.rows.first == n_rows);
    n_rows += factor.rows.n;
  }
  TANDEM_CHECK(n_rows == x->ne[1]);
}

}  // namespace

void WideProducts::give_out_anew() {
  for (std::size_t i = 0; i < n_used_; ++i) nodes_[i].next_panel.store(0, std::memory_order_relaxed);
}

WideProducts::Node& WideProducts::next_node(std::span<const WideFactor> factors, const ggml_tensor* x) {
  check_factors(factors, x);
  if (n_used_ == nodes_.size()) nodes_.emplace_back();
  Node& node = nodes_[n_used_++];
  node.factors.assign(factors.begin(), factors.end());
  node.next = nullptr;
  if (n_used_ > 1) nodes_[n_used_ - 2].next = &node;
  return node;
}

ggml_tensor* WideProducts::multiply(ggml_context* context, std::span<const WideFactor> factors,
                                    ggml_tensor* x) {
  Node& node = next_node(factors, x);
  return ggml_custom_4d(context, GGML_TYPE_F32, factors.front().matrix->n_out(), x->ne[1], 1, 1, &x, 1,
                        run_product, GGML_N_TASKS_MAX, &node);
}

ggml_tensor* WideProducts::gate(ggml_context* context, GateActivation activation,
                                std::span<const WideFactor> factors, ggml_tensor* x) {
  TANDEM_CHECK(factors.front().matrix->n_out() % kBlockInputs == 0);
  Node& node = next_node(factors, x);
  node.activation = activation;
  const std::size_t n_bytes =
      sizeof(InputBlock) * static_cast<std::size_t>(factors.front().matrix->n_panels());
  return ggml_custom_4d(context, GGML_TYPE_I8, static_cast<std::int64_t>(n_bytes), x->ne[1], 1, 1, &x, 1,
                        run_product, GGML_N_TASKS_MAX, &node);
}

}  // namespace tandem
