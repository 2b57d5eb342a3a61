#include "model/wide_product.h"

#include <ggml.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "model/wide_dnnl.h"
#include "model/wide_matrix.h"
#include "tandem/error.h"

namespace tandem {

namespace {

using dnnl::memory;

// More rows to a call keep a panel's inputs out of the nearest cache, more panels gain nothing: what a call
// costs beside its product is a microsecond.
constexpr int kMostTileRows = 64;
constexpr int kMostTilePanels = 8;

dnnl::matmul::primitive_desc tile_product(int n_in, int n_rows, int n_panels) {
  const memory::desc inputs({n_rows, n_in}, memory::data_type::bf16, memory::format_tag::ab);
  const memory::desc outputs({n_rows, WideMatrix::kPanel * n_panels}, memory::data_type::f32,
                             memory::format_tag::ab);
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(
      dnnl::scratchpad_mode::user);  // the library's own would be shared by threads
  return {{inputs, panel_layout(n_in, n_panels), outputs}, attributes, cpu_engine()};
}

std::byte* row_of(const ggml_tensor* tensor, int row) {
  return static_cast<std::byte*>(tensor->data) + tensor->nb[1] * static_cast<std::size_t>(row);
}

/// What a thread works in.
struct Workspace {
  dnnl::stream stream{cpu_engine()};
  std::vector<float> outputs =
      std::vector<float>(std::size_t{kMostTileRows} * kMostTilePanels * WideMatrix::kPanel);
};

/// Some rows times some panels.
struct Tile {
  int n_rows;
  int n_panels;
  dnnl::matmul primitive;
  std::vector<std::unordered_map<int, memory>> arguments;  // of each thread
};

/// What a node needs when its turn comes.
struct Call {
  WideProducts::Impl& products;
  const WideMatrix& matrix;
};

}  // namespace

struct WideProducts::Impl {
  std::vector<Workspace> workspaces;                // of each thread
  std::map<std::tuple<int, int, int>, Tile> tiles;  // by inputs, rows and panels
  std::unordered_map<const WideMatrix*, Call> calls;
  ggml_tensor* input = nullptr;    // of the last product
  ggml_tensor* rounded = nullptr;  // the same in bfloat16

  int n_threads() const { return static_cast<int>(workspaces.size()); }
  Tile& tile(int n_in, int n_rows, int n_panels);
  ggml_tensor* round(ggml_context* context, ggml_tensor* x);
};

Tile& WideProducts::Impl::tile(int n_in, int n_rows, int n_panels) {
  const auto known = tiles.find({n_in, n_rows, n_panels});
  if (known != tiles.end()) return known->second;
  const OneThread alone;
  const auto made = tile_product(n_in, n_rows, n_panels);
  Tile tile{.n_rows = n_rows, .n_panels = n_panels, .primitive = dnnl::matmul(made), .arguments = {}};
  for (Workspace& work : workspaces) {
    // Its own for each tile: the graph at hand may use several.
    std::unordered_map<int, memory> arguments;
    arguments.emplace(DNNL_ARG_SRC, memory(made.src_desc(), cpu_engine(), nullptr));
    arguments.emplace(DNNL_ARG_WEIGHTS, memory(made.weights_desc(), cpu_engine(), nullptr));
    arguments.emplace(DNNL_ARG_DST, memory(made.dst_desc(), cpu_engine(), work.outputs.data()));
    arguments.emplace(DNNL_ARG_SCRATCHPAD, memory(made.scratchpad_desc(), cpu_engine()));
    tile.arguments.push_back(std::move(arguments));
  }
  return tiles.emplace(std::tuple(n_in, n_rows, n_panels), std::move(tile)).first->second;
}

/// Once for products in a row with the same x.
ggml_tensor* WideProducts::Impl::round(ggml_context* context, ggml_tensor* x) {
  if (x->type == GGML_TYPE_BF16) return x;
  if (x != input) {
    input = x;
    rounded = ggml_cast(context, x, GGML_TYPE_BF16);
  }
  return rounded;
}

namespace {

/// visit(begin, end): of [begin, end), in as few parts of about one size as have no more than `most`.
template <typename Visit>
void for_each_part(int begin, int end, int most, Visit visit) {
  const int n_parts = (end - begin + most - 1) / most;
  for (int i = 0; i < n_parts; ++i)
    visit(begin + (end - begin) * i / n_parts, begin + (end - begin) * (i + 1) / n_parts);
}

/// visit(tile, first panel, first row) for a thread's share of a product with so many rows.
template <typename Visit>
void for_each_tile(const Call& call, int thread, int n_rows, Visit visit) {
  WideProducts::Impl& products = call.products;
  const WideMatrix& matrix = call.matrix;
  const int begin = matrix.n_panels() * thread / products.n_threads();
  const int end = matrix.n_panels() * (thread + 1) / products.n_threads();
  for_each_part(begin, end, kMostTilePanels, [&](int panel, int panel_end) {
    for_each_part(0, n_rows, kMostTileRows, [&](int row, int row_end) {
      visit(products.tile(matrix.n_in(), row_end - row, panel_end - panel), panel, row);
    });
  });
}

void run_share(const Call& call, const ggml_tensor* x, ggml_tensor* y, int thread) {
  const WideMatrix& matrix = call.matrix;
  Workspace& work = call.products.workspaces[static_cast<std::size_t>(thread)];
  for_each_tile(call, thread, static_cast<int>(x->ne[1]), [&](Tile& tile, int panel, int first_row) {
    auto& arguments = tile.arguments[static_cast<std::size_t>(thread)];
    arguments.at(DNNL_ARG_SRC).set_data_handle(row_of(x, first_row));
    // Weights are only read; the library's interface knows no constants.
    arguments.at(DNNL_ARG_WEIGHTS).set_data_handle(const_cast<std::byte*>(matrix.panel(panel)));
    tile.primitive.execute(work.stream, arguments);
    const int output = WideMatrix::kPanel * panel;
    const int width = WideMatrix::kPanel * tile.n_panels;
    const auto n_outputs = static_cast<std::size_t>(std::min(width, matrix.n_out() - output));
    for (int row = 0; row < tile.n_rows; ++row) {
      std::memcpy(row_of(y, first_row + row) + sizeof(float) * static_cast<std::size_t>(output),
                  work.outputs.data() + std::ptrdiff_t{width} * row, sizeof(float) * n_outputs);
    }
  });
}

/// There may be fewer threads than there are shares.
void run_product(ggml_tensor* y, int thread, int n_threads, void* data) {
  const auto& call = *static_cast<const Call*>(data);
  for (int share = thread; share < call.products.n_threads(); share += n_threads)
    run_share(call, y->src[0], y, share);
}

}  // namespace

WideProducts::WideProducts(int n_threads) : impl_(std::make_unique<Impl>()) {
  impl_->workspaces.resize(static_cast<std::size_t>(n_threads));
}
WideProducts::~WideProducts() = default;

void WideProducts::begin() {
  impl_->input = nullptr;
}

void WideProducts::forget_matrices() {
  impl_->calls.clear();
}

ggml_tensor* WideProducts::product(ggml_context* context, const WideMatrix& matrix, ggml_tensor* x) {
  TANDEM_CHECK(x->ne[0] == matrix.n_in() && ggml_is_contiguous(x));
  x = impl_->round(context, x);
  Call& call = impl_->calls.try_emplace(&matrix, Call{.products = *impl_, .matrix = matrix}).first->second;
  // All tiles are made here, where no other thread looks for one.
  for (int thread = 0; thread < impl_->n_threads(); ++thread)
    for_each_tile(call, thread, static_cast<int>(x->ne[1]), [](const Tile&, int, int) {});
  return ggml_custom_4d(context, GGML_TYPE_F32, matrix.n_out(), x->ne[1], 1, 1, &x, 1, run_product,
                        GGML_N_TASKS_MAX, &call);
}

}  // namespace tandem
