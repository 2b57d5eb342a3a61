#include "model/wide_product.h"

#include <ggml.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <unordered_map>
#include <vector>

#include "model/wide_dnnl.h"
#include "model/wide_matrix.h"
#include "numeric/row_loops.h"
#include "tandem/error.h"

namespace tandem {

namespace {

using dnnl::memory;

// More rows to a call keep a panel's inputs out of the nearest cache.
constexpr int kMostTileRows = 64;

/// What a thread works in.
struct Workspace {
  dnnl::stream stream{cpu_engine()};
  std::vector<float> outputs = std::vector<float>(std::size_t{kMostTileRows} * WideMatrix::kPanel);
};

std::byte* row_of(const ggml_tensor* tensor, int row) {
  return static_cast<std::byte*>(tensor->data) + tensor->nb[1] * static_cast<std::size_t>(row);
}

}  // namespace

struct WideKernels::Tile {
  int n_rows;
  dnnl::matmul primitive;
  std::vector<std::unordered_map<int, memory>> arguments;  // of each thread
};

struct WideKernels::Impl {
  std::vector<Workspace> workspaces;          // of each thread
  std::map<std::pair<int, int>, Tile> tiles;  // by inputs and rows
};

WideKernels::WideKernels(int n_threads) : impl_(std::make_unique<Impl>()) {
  impl_->workspaces.resize(static_cast<std::size_t>(n_threads));
}
WideKernels::~WideKernels() = default;

WideKernels::Tile& WideKernels::tile(int n_in, int n_rows) {
  TANDEM_CHECK(n_rows > 0 && n_rows <= kMostTileRows);
  const auto known = impl_->tiles.find({n_in, n_rows});
  if (known != impl_->tiles.end()) return known->second;
  const OneThread alone;
  const auto made = panel_product(n_in, n_rows, &panel_layout(n_in));
  Tile tile{.n_rows = n_rows, .primitive = dnnl::matmul(made), .arguments = {}};
  for (Workspace& work : impl_->workspaces) {
    // Its own for each tile: the graph at hand may use several.
    std::unordered_map<int, memory> arguments;
    arguments.emplace(DNNL_ARG_SRC, memory(made.src_desc(), cpu_engine(), nullptr));
    arguments.emplace(DNNL_ARG_WEIGHTS, memory(made.weights_desc(), cpu_engine(), nullptr));
    arguments.emplace(DNNL_ARG_DST, memory(made.dst_desc(), cpu_engine(), work.outputs.data()));
    arguments.emplace(DNNL_ARG_SCRATCHPAD, memory(made.scratchpad_desc(), cpu_engine()));
    tile.arguments.push_back(std::move(arguments));
  }
  return impl_->tiles.emplace(std::pair(n_in, n_rows), std::move(tile)).first->second;
}

/// What a node of the graph needs when its turn comes.
struct WideProducts::Call {
  struct Rows {
    int first;
    WideKernels::Tile* tile;
  };

  WideKernels::Impl& kernels;
  const WideMatrix& matrix;
  std::vector<Rows> tiles;

  void run(const ggml_tensor* x, ggml_tensor* y, int thread, int n_threads) const;
};

void WideProducts::Call::run(const ggml_tensor* x, ggml_tensor* y, int thread, int n_threads) const {
  const int begin = matrix.n_panels() * thread / n_threads;
  const int end = matrix.n_panels() * (thread + 1) / n_threads;
  Workspace& work = kernels.workspaces[static_cast<std::size_t>(thread)];
  for (int panel = begin; panel < end; ++panel) {
    const int output = WideMatrix::kPanel * panel;
    const auto n_outputs = static_cast<std::size_t>(std::min(WideMatrix::kPanel, matrix.n_out() - output));
    for (const Rows& rows : tiles) {
      auto& arguments = rows.tile->arguments[static_cast<std::size_t>(thread)];
      arguments.at(DNNL_ARG_SRC).set_data_handle(row_of(x, rows.first));
      // Weights are only read; the library's interface knows no constants.
      arguments.at(DNNL_ARG_WEIGHTS).set_data_handle(const_cast<std::byte*>(matrix.panel(panel)));
      rows.tile->primitive.execute(work.stream, arguments);
      for (int row = 0; row < rows.tile->n_rows; ++row) {
        std::memcpy(row_of(y, rows.first + row) + sizeof(float) * static_cast<std::size_t>(output),
                    work.outputs.data() + WideMatrix::kPanel * row, sizeof(float) * n_outputs);
      }
    }
  }
}

namespace {

void run_product(ggml_tensor* y, int thread, int n_threads, void* call) {
  static_cast<const WideProducts::Call*>(call)->run(y->src[0], y, thread, n_threads);
}

template <GateActivation kActivation>
void run_gate(ggml_tensor* y, int thread, int n_threads, void*) {
  const int n_rows = static_cast<int>(y->ne[1]);
  for (int row = n_rows * thread / n_threads; row < n_rows * (thread + 1) / n_threads; ++row) {
    gate_row(kActivation, reinterpret_cast<const float*>(row_of(y->src[0], row)),
             reinterpret_cast<const float*>(row_of(y->src[1], row)),
             reinterpret_cast<Bfloat16*>(row_of(y, row)), y->ne[0]);
  }
}

}  // namespace

WideProducts::WideProducts(WideKernels& kernels) : kernels_(kernels) {}
WideProducts::~WideProducts() = default;

WideProducts::Call& WideProducts::call(const WideMatrix& matrix, const ggml_tensor* x) {
  TANDEM_CHECK(x->ne[0] == matrix.n_in() && ggml_is_contiguous(x));
  Call& call =
      *calls_.emplace_back(std::make_unique<Call>(Call{.kernels = *kernels_.impl_, .matrix = matrix}));
  const int n_rows = static_cast<int>(x->ne[1]);
  const int n_tiles = (n_rows + kMostTileRows - 1) / kMostTileRows;
  for (int i = 0, first = 0; i < n_tiles; ++i) {
    const int end = n_rows * (i + 1) / n_tiles;
    call.tiles.push_back({first, &kernels_.tile(matrix.n_in(), end - first)});
    first = end;
  }
  return call;
}

ggml_tensor* WideProducts::gated(ggml_context* context, GateActivation activation, ggml_tensor* gate,
                                 ggml_tensor* up) {
  TANDEM_CHECK(gate->type == GGML_TYPE_F32 && up->type == GGML_TYPE_F32 && ggml_are_same_shape(gate, up));
  ggml_tensor* values[] = {gate, up};
  const auto run =
      activation == GateActivation::kSilu ? run_gate<GateActivation::kSilu> : run_gate<GateActivation::kGelu>;
  return ggml_custom_4d(context, GGML_TYPE_BF16, gate->ne[0], gate->ne[1], 1, 1, values, 2, run,
                        GGML_N_TASKS_MAX, nullptr);
}

ggml_tensor* WideProducts::rounded(ggml_context* context, ggml_tensor* x) {
  if (x->type == GGML_TYPE_BF16) return x;
  ggml_tensor*& rounded = rounded_[x];
  if (rounded == nullptr) rounded = ggml_cast(context, x, GGML_TYPE_BF16);
  return rounded;
}

ggml_tensor* WideProducts::product(ggml_context* context, const WideMatrix& matrix, ggml_tensor* x) {
  x = rounded(context, x);
  Call& product = call(matrix, x);
  return ggml_custom_4d(context, GGML_TYPE_F32, matrix.n_out(), x->ne[1], 1, 1, &x, 1, run_product,
                        GGML_N_TASKS_MAX, &product);
}

}  // namespace tandem
