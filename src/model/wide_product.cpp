#include "model/wide_product.h"

#include <ggml.h>

#include <algorithm>
#include <map>
#include <span>
#include <unordered_map>
#include <vector>

#include "model/wide_dnnl.h"
#include "model/wide_matrix.h"
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
  float scale = 1;
  int first_row = 0;  // of the rows added to

  using Write = void (*)(const Call& call, ggml_tensor* to, int row, int output, std::span<float> values);
  void run(const ggml_tensor* x, ggml_tensor* to, int thread, int n_threads, Write write) const;
};

void WideProducts::Call::run(const ggml_tensor* x, ggml_tensor* to, int thread, int n_threads,
                             Write write) const {
  const int begin = matrix.n_panels() * thread / n_threads;
  const int end = matrix.n_panels() * (thread + 1) / n_threads;
  Workspace& work = kernels.workspaces[static_cast<std::size_t>(thread)];
  for (int panel = begin; panel < end; ++panel) {
    const int output = WideMatrix::kPanel * panel;
    const auto n_outputs = static_cast<std::size_t>(std::min(WideMatrix::kPanel, matrix.n_out() - output));
    for (const Rows& rows : tiles) {
      auto& arguments = rows.tile->arguments[static_cast<std::size_t>(thread)];
      auto* inputs = static_cast<std::byte*>(x->data) + x->nb[1] * static_cast<std::size_t>(rows.first);
      arguments.at(DNNL_ARG_SRC).set_data_handle(inputs);
      // Weights are only read; the library's interface knows no constants.
      arguments.at(DNNL_ARG_WEIGHTS).set_data_handle(const_cast<std::byte*>(matrix.panel(panel)));
      rows.tile->primitive.execute(work.stream, arguments);
      for (int row = 0; row < rows.tile->n_rows; ++row) {
        float* values = work.outputs.data() + WideMatrix::kPanel * row;
        write(*this, to, rows.first + row, output, {values, n_outputs});
      }
    }
  }
}

namespace {

using Call = WideProducts::Call;

template <typename Element>
Element* element(ggml_tensor* tensor, int row, int column) {
  return reinterpret_cast<Element*>(static_cast<std::byte*>(tensor->data) +
                                    tensor->nb[1] * static_cast<std::size_t>(row)) +
         column;
}

void write_f32(const Call& call, ggml_tensor* to, int row, int output, std::span<float> values) {
  float* out = element<float>(to, row, output);
  for (std::size_t i = 0; i < values.size(); ++i) out[i] = call.scale * values[i];
}

void write_bf16(const Call& call, ggml_tensor* to, int row, int output, std::span<float> values) {
  for (float& value : values) value *= call.scale;
  ggml_fp32_to_bf16_row(values.data(), element<ggml_bf16_t>(to, row, output),
                        static_cast<std::int64_t>(values.size()));
}

void add_f32(const Call& call, ggml_tensor* to, int row, int output, std::span<float> values) {
  float* out = element<float>(to, call.first_row + row, output);
  for (std::size_t i = 0; i < values.size(); ++i) out[i] += values[i];
}

void run_product(ggml_tensor* to, int thread, int n_threads, void* data) {
  const auto& call = *static_cast<const Call*>(data);
  call.run(to->src[0], to, thread, n_threads, to->type == GGML_TYPE_F32 ? write_f32 : write_bf16);
}

void run_add(ggml_tensor* to, int thread, int n_threads, void* data) {
  static_cast<const Call*>(data)->run(to->src[1], to, thread, n_threads, add_f32);
}

}  // namespace

WideProducts::WideProducts(WideKernels& kernels) : kernels_(kernels) {}
WideProducts::~WideProducts() = default;

WideProducts::Call& WideProducts::call(const WideMatrix& matrix, const ggml_tensor* x) {
  TANDEM_CHECK(x->type == GGML_TYPE_BF16 && x->ne[0] == matrix.n_in() && ggml_is_contiguous(x));
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

ggml_tensor* WideProducts::product(ggml_context* context, const WideMatrix& matrix, ggml_tensor* x,
                                   float scale, Output output) {
  Call& product = call(matrix, x);
  product.scale = scale;
  const ggml_type type = output == Output::kF32 ? GGML_TYPE_F32 : GGML_TYPE_BF16;
  return ggml_custom_4d(context, type, matrix.n_out(), x->ne[1], 1, 1, &x, 1, run_product, GGML_N_TASKS_MAX,
                        &product);
}

ggml_tensor* WideProducts::add_product(ggml_context* context, ggml_tensor* y, int first_row,
                                       const WideMatrix& matrix, ggml_tensor* x) {
  TANDEM_CHECK(y->type == GGML_TYPE_F32 && y->ne[0] == matrix.n_out() && first_row + x->ne[1] <= y->ne[1]);
  Call& sum = call(matrix, x);
  sum.first_row = first_row;
  return ggml_custom_inplace(context, y, &x, 1, run_add, GGML_N_TASKS_MAX, &sum);
}

}  // namespace tandem
