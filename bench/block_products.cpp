// What products in blocks reach on one core of this CPU, kernel by kernel, with the sizes of a small model's
// matrices: all of it in the nearest caches as far as it fits, no graph, no other thread.
//
// Kernels take turns. Printed: GFLOP/s by the thread's own clock, medians and spread, and how many times the
// rate of the fastest kernel for eight bits.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <ctime>
#include <iostream>
#include <random>
#include <vector>

#include "eval/spread.h"
#include "numeric/block_kernels.h"

namespace {

using tandem::BlockKernel;
using tandem::kBlockInputs;
using tandem::kPanelOutputs;
using tandem::kTileRows;
using tandem::WeightBits;

struct Arguments {
  std::vector<int> rows = {4, 16, 32, 64};
  int n_rounds = 9;
};

struct Size {
  int n_in;
  int n_out;
};
constexpr Size kSizes[] = {{640, 2048}, {2048, 640}, {640, 1024}};  // of Gemma 3 270M

double thread_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

std::vector<float> random_values(std::size_t n) {
  std::mt19937 random(1);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<float> values(n);
  for (float& value : values) value = uniform(random);
  return values;
}

class Product {
 public:
  Product(Size size, int n_rows, WeightBits bits)
      : n_blocks_(size.n_in / kBlockInputs),
        n_panels_(size.n_out / kPanelOutputs),
        n_rows_(n_rows),
        bits_(bits),
        weights_(static_cast<std::size_t>(n_blocks_) * static_cast<std::size_t>(n_panels_)),
        inputs_(static_cast<std::size_t>(n_blocks_) * static_cast<std::size_t>(n_rows)),
        outputs_(static_cast<std::size_t>(size.n_out) * static_cast<std::size_t>(n_rows)) {
    const auto panel = random_values(static_cast<std::size_t>(size.n_in) * kPanelOutputs);
    for (int i = 0; i < n_panels_; ++i)
      tandem::round_panel(panel.data(), bits, &weights_[static_cast<std::size_t>(i * n_blocks_)], size.n_in);
    const auto rows = random_values(static_cast<std::size_t>(size.n_in) * static_cast<std::size_t>(n_rows));
    tandem::round_row(rows.data(), inputs_.data(), static_cast<std::int64_t>(rows.size()));
  }

  /// The whole matrix with all rows.
  void run(const BlockKernel& kernel) {
    const int n_out = n_panels_ * kPanelOutputs;
    for (int panel = 0; panel < n_panels_; ++panel) {
      for (int row = 0; row < n_rows_; row += kTileRows) {
        kernel.multiply({.weights = &weights_[static_cast<std::size_t>(panel * n_blocks_)],
                         .bits = bits_,
                         .inputs = &inputs_[static_cast<std::size_t>(row * n_blocks_)],
                         .n_blocks = n_blocks_,
                         .n_rows = std::min(kTileRows, n_rows_ - row),
                         .out = &outputs_[static_cast<std::size_t>(row * n_out + kPanelOutputs * panel)],
                         .out_row = static_cast<std::size_t>(n_out)});
      }
    }
  }

  double gflop() const { return 2e-9 * n_panels_ * kPanelOutputs * n_blocks_ * kBlockInputs * n_rows_; }

 private:
  int n_blocks_;
  int n_panels_;
  int n_rows_;
  WeightBits bits_;
  std::vector<tandem::WeightBlock> weights_;
  std::vector<tandem::InputBlock> inputs_;
  std::vector<float> outputs_;
};

struct Contestant {
  BlockKernel kernel;
  Product product;
  std::vector<double> gflops = {};
};

constexpr double kRoundSeconds = 5e-3;  // at least, of a contestant

void run_round(Contestant& contestant) {
  const double start = thread_seconds();
  double gflop = 0, seconds = 0;
  for (; seconds < kRoundSeconds; seconds = thread_seconds() - start) {
    contestant.product.run(contestant.kernel);
    gflop += contestant.product.gflop();
  }
  contestant.gflops.push_back(gflop / seconds);
}

std::vector<Contestant> contest(Size size, int n_rows, int n_rounds) {
  std::vector<Contestant> contestants;
  for (const BlockKernel& kernel : tandem::block_kernels())
    contestants.push_back({kernel, Product(size, n_rows, kernel.bits)});
  for (int round = 0; round <= n_rounds; ++round)
    for (Contestant& contestant : contestants) run_round(contestant);
  for (Contestant& contestant : contestants) contestant.gflops.erase(contestant.gflops.begin());  // a warm-up
  return contestants;
}

void compare(const Arguments& arguments) {
  fmt::print("one thread, {} rounds\n{:<14} {:>4} {:>11} {:>5} {:>8} {:>15} {:>14}\n", arguments.n_rounds,
             "kernel", "bits", "matrix", "rows", "GFLOP/s", "(min - max)", "vs eight bits");
  for (const Size size : kSizes) {
    for (const int n_rows : arguments.rows) {
      const std::vector<Contestant> contestants = contest(size, n_rows, arguments.n_rounds);
      double yardstick = 0;
      for (const Contestant& c : contestants)
        if (c.kernel.bits == WeightBits::kEight)
          yardstick = std::max(yardstick, tandem::spread_of(c.gflops)->median);
      for (const Contestant& c : contestants) {
        const tandem::Spread spread = *tandem::spread_of(c.gflops);
        fmt::print("{:<14} {:>4} {:>11} {:>5} {:>8.0f} {:>15} {:>14.2f}\n", c.kernel.name,
                   static_cast<int>(c.kernel.bits), fmt::format("{} x {}", size.n_in, size.n_out), n_rows,
                   spread.median, fmt::format("({:.0f} - {:.0f})", spread.least, spread.most),
                   spread.median / yardstick);
      }
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("What products in blocks reach on one core");
  Arguments arguments;
  app.add_option("--rows", arguments.rows, "Rows of a product")
      ->delimiter(',')
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  app.add_option("--rounds", arguments.n_rounds)->check(CLI::Range(1, 1000))->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  if (!tandem::has_block_products()) {
    std::cerr << "bench_block_products: expected a CPU with AVX2 or AVX-512 VNNI\n";
    return 1;
  }
  compare(arguments);
  return 0;
}
