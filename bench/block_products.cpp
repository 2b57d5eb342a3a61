// What products in blocks reach on one core of this CPU, kernel by kernel, beside plain loops, with the sizes
// of a small model's matrices: all of it in the nearest caches as far as it fits, no graph, no other thread.
//
//   build/release/bench/bench_block_products --benchmark_repetitions=9 --benchmark_report_aggregates_only
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <vector>

#include "numeric/block_kernels.h"
#include "tests/support/random_values.h"

namespace {

using tandem::BlockKernel;
using tandem::kBlockInputs;
using tandem::kPanelOutputs;
using tandem::kTileRows;
using tandem::WeightForm;
using tandem::testing::random_values;

struct Size {
  int n_in;
  int n_out;
};
constexpr std::string_view kBits[] = {"6", "6 (halves)", "8"};      // of the forms
constexpr Size kSizes[] = {{640, 2048}, {2048, 640}, {640, 1024}};  // of Gemma 3 270M

/// Of all rows with a whole matrix, whose panels are all alike.
class Product {
 public:
  Product(Size size, int n_rows, WeightForm form)
      : n_blocks_(size.n_in / kBlockInputs),
        n_out_(size.n_out),
        n_rows_(n_rows),
        form_(form),
        weights_(static_cast<std::size_t>(n_blocks_ * (size.n_out / kPanelOutputs))),
        second_scales_(kPanelOutputs * weights_.size()),
        inputs_(static_cast<std::size_t>(n_blocks_ * n_rows)),
        outputs_(static_cast<std::size_t>(size.n_out * n_rows)) {
    const std::vector<float> panel = random_values(static_cast<std::size_t>(size.n_in * kPanelOutputs), 1);
    for (std::size_t first = 0; first < weights_.size(); first += static_cast<std::size_t>(n_blocks_)) {
      tandem::round_panel(
          panel.data(), form,
          {.blocks = &weights_[first], .second_scales = &second_scales_[kPanelOutputs * first]}, size.n_in);
    }
    const std::vector<float> rows = random_values(static_cast<std::size_t>(size.n_in * n_rows), 2);
    tandem::round_row(rows.data(), inputs_.data(), std::ssize(rows));
  }

  void run(const BlockKernel& kernel) {
    for (int output = 0; output < n_out_; output += kPanelOutputs) {
      for (int row = 0; row < n_rows_; row += kTileRows) {
        const auto first = static_cast<std::size_t>(output / kPanelOutputs * n_blocks_);
        kernel.multiply(
            {.weights = {.blocks = &weights_[first], .second_scales = &second_scales_[kPanelOutputs * first]},
             .form = form_,
             .inputs = &inputs_[static_cast<std::size_t>(row * n_blocks_)],
             .n_blocks = n_blocks_,
             .n_rows = std::min(kTileRows, n_rows_ - row),
             .out = &outputs_[static_cast<std::size_t>(row * n_out_ + output)],
             .out_row = static_cast<std::size_t>(n_out_)});
      }
    }
  }

  double operations() const { return 2.0 * n_blocks_ * kBlockInputs * n_out_ * n_rows_; }

 private:
  int n_blocks_;
  int n_out_;
  int n_rows_;
  WeightForm form_;
  std::vector<tandem::WeightBlock> weights_;
  std::vector<float> second_scales_;
  std::vector<tandem::InputBlock> inputs_;
  std::vector<float> outputs_;
};

void multiply(benchmark::State& state, const BlockKernel& kernel, Size size) {
  Product product(size, static_cast<int>(state.range(0)), kernel.form);
  for (auto _ : state) {
    product.run(kernel);
    benchmark::ClobberMemory();
  }
  state.counters["FLOP/s"] =
      benchmark::Counter(product.operations(), benchmark::Counter::kIsIterationInvariantRate);
}

std::vector<BlockKernel> all_kernels() {
  constexpr auto kPlainly = tandem::multiply_plainly;
  std::vector<BlockKernel> kernels = tandem::block_kernels();
  kernels.push_back({"plain loops", WeightForm::kEight, {kPlainly, kPlainly, kPlainly, kPlainly}});
  return kernels;
}

}  // namespace

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  for (const BlockKernel& kernel : all_kernels()) {
    for (const Size size : kSizes) {
      const std::string name =
          fmt::format("{}, {} bits, {} x {}", kernel.name, kBits[static_cast<std::size_t>(kernel.form)],
                      size.n_in, size.n_out);
      benchmark::RegisterBenchmark(name.c_str(), multiply, kernel, size)
          ->ArgName("rows")
          ->Arg(1)
          ->Arg(2)
          ->Arg(4)
          ->Arg(16)
          ->Arg(64);
    }
  }
  benchmark::RunSpecifiedBenchmarks();
}
