// How fast the engine decodes, beside libllama on the same file, threads and prompts, in one run.
//
// Rounds alternate between the contestants, so that a change of the machine's pace falls on all of them:
//   offline     Tandem, k = inf: the whole source, then the target
//   libllama    the same prompt as one causal sequence, greedy, as many tokens as Tandem wrote for that line
//   k = 3       Tandem streaming, the whole source pushed first; forks on, and off (drafts instead)
// Printed: tokens/s (text tokens and ends), passes per target token, load time, memory of a session.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <fstream>
#include <functional>
#include <iostream>
#include <sstream>

#include "bench/peer.h"
#include "model/model.h"
#include "tandem/engine.h"
#include "text/prompt.h"

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

struct Sample {
  std::int64_t n_tokens = 0;
  std::int64_t n_passes = 0;
  double seconds = 0;
  double tokens_per_second() const { return static_cast<double>(n_tokens) / seconds; }
};

std::vector<std::string> words_of(const std::string& line) {
  std::istringstream in(line);
  return {std::istream_iterator<std::string>(in), {}};
}

/// Translates every line; `tokens_per_line` gets the text tokens and ends of each.
Sample run_tandem(tandem::Engine& engine, const tandem::SessionOptions& options,
                  const std::vector<std::string>& lines, std::vector<int>& tokens_per_line) {
  Sample sample;
  tokens_per_line.clear();
  auto session = engine.open(options);
  const auto start = Clock::now();
  for (const std::string& line : lines) {
    const auto before = session.counters().target_tokens;
    const auto words = words_of(line);
    for (std::size_t i = 0; i < words.size(); ++i) {
      (void)session.push_word(words[i], i + 1 == words.size() ? tandem::Last::kYes : tandem::Last::kNo);
    }
    while (session.step() == tandem::Progress::kMore) {
    }
    (void)session.poll();
    tokens_per_line.push_back(static_cast<int>(session.counters().target_tokens - before));
  }
  sample.seconds = seconds_since(start);
  sample.n_tokens = session.counters().target_tokens;
  sample.n_passes = session.counters().passes;
  return sample;
}

/// The peer: cleared for each line; the prompt in one batch, then token by token.
Sample run_peer(tandem::bench::Peer& peer, const std::vector<std::vector<llama_token>>& prompts,
                const std::vector<int>& tokens_per_line) {
  Sample sample;
  const auto start = Clock::now();
  for (std::size_t line = 0; line < prompts.size(); ++line) {
    peer.keep(0);
    auto prompt = prompts[line];
    peer.decode(prompt);
    for (int i = 1; i < tokens_per_line[line]; ++i) {
      llama_token next = peer.best();
      peer.decode(std::span(&next, 1));
    }
    (void)peer.best();
    sample.n_tokens += tokens_per_line[line];
    sample.n_passes += tokens_per_line[line];
  }
  sample.seconds = seconds_since(start);
  return sample;
}

std::vector<std::vector<llama_token>> prompts_of(const std::string& path, const std::string& language,
                                                 const std::vector<std::string>& lines) {
  const auto model = tandem::Model::load(path);
  const auto prompt =
      tandem::tokenize_prompt(model->metadata().value().prompt, language, *model->vocabulary());
  std::vector<std::vector<llama_token>> prompts;
  for (const std::string& line : lines) {
    std::vector<llama_token> tokens;
    const auto add = [&tokens](const std::vector<tandem::TokenId>& ids) {
      for (tandem::TokenId id : ids) tokens.push_back(tandem::to_int(id));
    };
    add(prompt.source_prefix);
    bool is_first = true;
    for (const auto& word : words_of(line)) {
      add(model->vocabulary()->tokenize_word(word, is_first));
      is_first = false;
    }
    add(prompt.source_suffix);
    add(prompt.target_prefix);
    prompts.push_back(std::move(tokens));
  }
  return prompts;
}

struct Contestant {
  std::string name;
  std::function<Sample()> run;
  std::vector<double> rates;
  Sample last;
};

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

double load_ms(const std::string& path, const tandem::EngineOptions& options, int rounds) {
  std::vector<double> ms;
  for (int i = 0; i < rounds; ++i) {
    const auto start = Clock::now();
    const auto engine = tandem::Engine::load(path, options);
    ms.push_back(1e3 * seconds_since(start));
  }
  return median(ms);
}

void compare(const std::string& model, const std::string& to, const std::vector<std::string>& lines,
             int n_threads, int n_rounds) {
  tandem::EngineOptions engine_options;
  engine_options.n_threads = n_threads;
  fmt::print("load: {:.1f} ms (median of {})\n", load_ms(model, engine_options, n_rounds), n_rounds);
  auto engine = tandem::Engine::load(model, engine_options);
  tandem::bench::Peer peer(model, n_threads, engine_options.session_slots);
  const auto prompts = prompts_of(model, to, lines);
  {
    tandem::SessionOptions options;
    options.target_languages = {to};
    fmt::print("memory of a session: {:.2f} MiB\n",
               static_cast<double>(engine.open(options).memory_bytes()) / 1048576);
  }
  std::vector<int> offline_tokens;
  std::vector<int> ignored;
  const auto streaming = [&](int k, tandem::Fork fork, std::vector<int>& tokens) {
    tandem::SessionOptions options;
    options.target_languages = {to};
    options.k = k;
    options.fork = fork;
    return run_tandem(engine, options, lines, tokens);
  };
  std::vector<Contestant> contestants;
  contestants.push_back(
      {"offline (k = inf)",
       [&] { return streaming(tandem::kUnlimited, tandem::Fork::kWhenReady, offline_tokens); },
       {},
       {}});
  contestants.push_back(
      {"libllama, greedy", [&] { return run_peer(peer, prompts, offline_tokens); }, {}, {}});
  contestants.push_back(
      {"k = 3, forks", [&] { return streaming(3, tandem::Fork::kWhenReady, ignored); }, {}, {}});
  contestants.push_back(
      {"k = 3, drafts", [&] { return streaming(3, tandem::Fork::kNever, ignored); }, {}, {}});
  for (int round = -1; round < n_rounds; ++round) {  // the first one warms up
    for (Contestant& contestant : contestants) {
      contestant.last = contestant.run();
      if (round >= 0) contestant.rates.push_back(contestant.last.tokens_per_second());
    }
  }
  const double peer_rate = median(contestants[1].rates);
  fmt::print("{:<20} {:>10} {:>17} {:>11} {:>13}\n", "", "tokens/s", "(min - max)", "vs libllama",
             "passes/token");
  for (const Contestant& contestant : contestants) {
    const auto [low, high] = std::minmax_element(contestant.rates.begin(), contestant.rates.end());
    fmt::print("{:<20} {:>10.0f} {:>17} {:>11.2f} {:>13.3f}\n", contestant.name, median(contestant.rates),
               fmt::format("({:.0f} - {:.0f})", *low, *high), median(contestant.rates) / peer_rate,
               static_cast<double>(contestant.last.n_passes) / static_cast<double>(contestant.last.n_tokens));
  }
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Tandem beside libllama on one file");
  std::string model = "models/default.gguf";
  std::string input;
  std::string to = "de";
  int n_threads = 2;
  int n_rounds = 7;
  int n_lines = 100;
  app.add_option("--model", model)->capture_default_str();
  app.add_option("--input", input, "source text, a sentence a line")->required();
  app.add_option("--to", to)->capture_default_str();
  app.add_option("--threads", n_threads)->capture_default_str();
  app.add_option("--rounds", n_rounds)->capture_default_str()->check(CLI::Range(1, 1000));
  app.add_option("--lines", n_lines)->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  try {
    std::ifstream in(input);
    std::vector<std::string> lines;
    for (std::string line; static_cast<int>(lines.size()) < n_lines && std::getline(in, line);) {
      if (!words_of(line).empty()) lines.push_back(line);
    }
    compare(model, to, lines, n_threads, n_rounds);
  } catch (const std::exception& error) {
    std::cerr << "bench_engine_speed: " << error.what() << '\n';
    return 1;
  }
  return 0;
}
