// What one pass costs, by its number of rows, beside libllama on the same file with as many threads, in one
// run.
//
// Each contestant has 32 rows in its cache and evaluates n more, with logits of every row or of the last
// alone, again and again; rounds alternate, so that a change of the machine's pace falls on all. Printed:
// medians, their spread, and libllama's time over Tandem's. "With copies" is as an engine does it that is not
// told otherwise: with wide copies, from the number of rows on that it finds to be faster.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <functional>
#include <iostream>
#include <vector>

#include "bench/peer.h"
#include "engine/pass_costs.h"
#include "model/adapter.h"
#include "model/head.h"
#include "model/model.h"
#include "model/model_options.h"
#include "stream/timeline.h"

namespace {

using tandem::TokenId;
using tandem::bench::Peer;
using Clock = std::chrono::steady_clock;

constexpr int kCached = 32;

struct Arguments {
  std::string model;
  std::string adapter;
  std::vector<int> rows = {1, 2, 4, 8, 16, 32, 64};
  int n_threads = 2;
  int n_rounds = 9;
  int n_repeats = 5;
};

/// Any tokens will do, as long as they are not special.
TokenId token_at(int i) {
  return TokenId{1000 + 37 * i % 997};
}

class Tandem {
 public:
  enum class Weights { kOfFile, kCopied };

  Tandem(const tandem::Model& model, std::shared_ptr<const tandem::Adapter> adapter,
         const Arguments& arguments, Weights weights)
      : network_(model.make_network(
            {.n_threads = arguments.n_threads, .n_slots = 256, .cache_type = tandem::CacheType::kF16})),
        timeline_(tandem::Position::whole(0), 256) {
    if (weights == Weights::kCopied && network_->widen(adapter))
      network_->set_wide_rows(tandem::find_wide_rows(*network_, adapter, arguments.rows.back()));
    session_.span = network_->reserve(256);
    session_.adapter = std::move(adapter);
    for (int i = 0; i < kCached; ++i)
      session_.rows.push_back({.token = token_at(i), .place = timeline_.add_source_row()});
    run();
  }

  void run(int n_rows, bool all_logits) {
    session_.rows.clear();
    for (int i = 0; i < n_rows; ++i) {
      session_.rows.push_back({.token = token_at(i),
                               .place = timeline_.add_target_row(kCached, tandem::RowKind::kKept),
                               .wants_logits = all_logits || i + 1 == n_rows});
    }
    run();
    for (auto row = session_.rows.rbegin(); row != session_.rows.rend(); ++row)
      timeline_.drop(row->place.slot);
  }

 private:
  void run() {
    session_.cached = timeline_.rows();
    (void)network_->evaluate(std::span(&session_, 1));
  }

  std::unique_ptr<tandem::Network> network_;
  tandem::Timeline timeline_;
  tandem::SessionRows session_;
};

struct Contestant {
  std::string name;
  std::function<void()> run;
  std::vector<double> ms = {};

  double median() const {
    std::vector<double> sorted = ms;
    std::sort(sorted.begin(), sorted.end());
    return sorted[sorted.size() / 2];
  }
  std::string spread() const {
    const auto [low, high] = std::minmax_element(ms.begin(), ms.end());
    return fmt::format("({:.1f} - {:.1f})", *low, *high);
  }
};

void take_turns(std::vector<Contestant>& contestants, const Arguments& arguments) {
  for (int round = -1; round < arguments.n_rounds; ++round) {  // the first one warms up
    for (Contestant& contestant : contestants) {
      const auto start = Clock::now();
      for (int i = 0; i < arguments.n_repeats; ++i) contestant.run();
      const std::chrono::duration<double, std::milli> ms = Clock::now() - start;
      if (round >= 0) contestant.ms.push_back(ms.count() / arguments.n_repeats);
    }
  }
}

void compare(const Arguments& arguments) {
  const auto model = tandem::Model::load(arguments.model);
  Peer peer(arguments.model, arguments.n_threads, 512);
  std::vector<llama_token> tokens;
  for (int i = 0; i < kCached; ++i) tokens.push_back(tandem::to_int(token_at(i)));
  peer.decode(tokens, 0, false);

  std::vector<std::pair<std::string, Tandem>> tandems;
  const auto add = [&](const std::string& name, const std::shared_ptr<const tandem::Adapter>& adapter) {
    tandems.emplace_back(name, Tandem(*model, adapter, arguments, Tandem::Weights::kOfFile));
    tandems.emplace_back(name + ", with copies",
                         Tandem(*model, adapter, arguments, Tandem::Weights::kCopied));
  };
  add("tandem", nullptr);
  if (!arguments.adapter.empty()) {
    const auto adapter = model->load_adapter(arguments.adapter);
    add(fmt::format("adapter, {} ids", adapter->head()->matrix->ne[1]), adapter);
  }
  fmt::print("{}, {} threads, {} rows in the cache, {} rounds of {} passes\n", model->weight_type(),
             arguments.n_threads, kCached, arguments.n_rounds, arguments.n_repeats);
  fmt::print("{:>4} {:<6} {:<34} {:>8} {:>17} {:>12}\n", "rows", "logits", "", "ms", "(min - max)",
             "vs libllama");
  for (const bool all_logits : {false, true}) {
    for (const int n_rows : arguments.rows) {
      std::vector<llama_token> next;
      for (int i = 0; i < n_rows; ++i) next.push_back(tandem::to_int(token_at(i)));
      std::vector<Contestant> contestants;
      contestants.push_back({"libllama", [&] {
                               peer.keep(kCached);
                               peer.decode(next, kCached, all_logits);
                             }});
      for (auto& [name, tandem] : tandems)
        contestants.push_back({name, [&tandem, n_rows, all_logits] { tandem.run(n_rows, all_logits); }});
      take_turns(contestants, arguments);
      for (const Contestant& contestant : contestants) {
        fmt::print("{:>4} {:<6} {:<34} {:>8.2f} {:>17} {:>12.2f}\n", n_rows, all_logits ? "all" : "last",
                   contestant.name, contestant.median(), contestant.spread(),
                   contestants.front().median() / contestant.median());
      }
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("What a pass costs beside libllama");
  Arguments arguments;
  app.add_option("--model", arguments.model, "A GGUF file")->required();
  app.add_option("--adapter", arguments.adapter, "A LoRA adapter for it, a third contestant");
  app.add_option("--rows", arguments.rows, "Rows of the pass")
      ->delimiter(',')
      ->check(CLI::Range(1, 128))
      ->capture_default_str();
  app.add_option("--threads", arguments.n_threads)->check(CLI::Range(1, 1024))->capture_default_str();
  app.add_option("--rounds", arguments.n_rounds)->check(CLI::Range(1, 1000))->capture_default_str();
  app.add_option("--repeats", arguments.n_repeats, "Passes in a round")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  try {
    compare(arguments);
  } catch (const std::exception& error) {
    std::cerr << "bench_pass_speed: " << error.what() << '\n';
    return 1;
  }
  return 0;
}
