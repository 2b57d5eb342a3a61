// What streaming costs, beside everything that it can be set against, in one run on one file:
//
//   tandem offline       k = inf: the whole source, then the target. The yardstick. With --force-lengths it
//                        writes as many tokens as streaming does, whatever they are
//   tandem streaming     at k, the whole source pushed first; then with each switch off by itself, with all
//                        off, and with the source pushed word by word
//   reference loop       the paper's decoding loop on Tandem's own network (reference_loop.h)
//   libllama             re-encoding at each READ, interleaved with cache, and plain generation
//   (peer_stream.h)
//
// Then, if asked for: one source with two targets beside one target, and the same contest by the source's
// length. Figures are per target token (text tokens and ends), ratios are taken round by round (contest.h).
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <boost/json.hpp>
#include <chrono>
#include <fstream>
#include <iostream>
#include <sstream>

#include "bench/contest.h"
#include "bench/contest_report.h"
#include "bench/peer_stream.h"
#include "bench/reference_loop.h"
#include "bench/stream_setup.h"
#include "tandem/engine.h"

namespace tandem::bench {
namespace {

using Clock = std::chrono::steady_clock;

struct Arguments {
  std::string model = "models/default.gguf";
  std::string adapter;
  std::string input;
  std::string to = "de";
  std::string second;
  int k = 3;
  int n_threads = 2;
  int n_rounds = 7;
  int n_lines = 100;
  std::vector<int> lengths;
  int length_words = 600;
  int n_slots = 2048;
  int target_rows_base = 48;
  int target_rows_per_source_row = 3;
  std::vector<std::string> only;
  bool forces_lengths = false;
  bool is_json = false;
};

Words words_of(const std::string& line) {
  std::istringstream in(line);
  return {std::istream_iterator<std::string>(in), {}};
}

std::vector<Words> read_lines(const std::string& path) {
  std::ifstream in(path);
  if (!in) throw Error(ErrorCode::kNotFound, "--input: expected a file, found none at " + path);
  std::vector<Words> lines;
  for (std::string line; std::getline(in, line);) {
    if (auto words = words_of(line); !words.empty()) lines.push_back(std::move(words));
  }
  if (lines.empty())
    throw Error(ErrorCode::kInvalidArgument, path + ": expected a line with words, got none");
  return lines;
}

/// Lines of exactly `n_words`, made of the text's words in their order; about `n_words_in_all` together.
std::vector<Words> lines_of_length(const std::vector<Words>& text, int n_words, int n_words_in_all) {
  const int n_lines = std::max(1, n_words_in_all / n_words);
  std::vector<Words> lines(1);
  for (std::size_t i = 0;; i = (i + 1) % text.size()) {
    for (const std::string& word : text[i]) {
      if (static_cast<int>(lines.back().size()) == n_words) {
        if (static_cast<int>(lines.size()) == n_lines) return lines;
        lines.emplace_back();
      }
      lines.back().push_back(word);
    }
  }
}

enum class Arrival { kAtOnce, kWordByWord };

class Tandem {
 public:
  explicit Tandem(const Arguments& arguments)
      : arguments_(arguments),
        engine_(Engine::load(arguments.model,
                             {.n_threads = arguments.n_threads, .session_slots = arguments.n_slots})) {
    if (!arguments.adapter.empty()) engine_.load_adapter(arguments.adapter);
  }

  SessionOptions options(int k) const {
    SessionOptions options;
    options.target_languages = {arguments_.to};
    options.adapter = arguments_.adapter;
    options.k = k;
    options.target_rows_base = arguments_.target_rows_base;
    options.target_rows_per_source_row = arguments_.target_rows_per_source_row;
    return options;
  }

  Sample run(const SessionOptions& options, std::span<const Words> lines,
             Arrival arrival = Arrival::kAtOnce) {
    Sample sample;
    const auto events = translate(options, lines, arrival, sample);
    for (const auto& line : events) {
      std::string& text = sample.texts.emplace_back();
      for (const Event& event : line) text += event.kind == EventKind::kCommit ? event.text : "";
    }
    return sample;
  }

  /// What was written after each READ of each line.
  std::vector<std::vector<PeerStep>> steps(const SessionOptions& options, std::span<const Words> lines) {
    std::vector<std::vector<PeerStep>> steps;
    Sample unused;
    for (const auto& line : translate(options, lines, Arrival::kAtOnce, unused))
      steps.push_back(steps_of(line));
    return steps;
  }

 private:
  using LineEvents = std::vector<Event>;

  std::vector<LineEvents> translate(const SessionOptions& options, std::span<const Words> lines,
                                    Arrival arrival, Sample& sample) {
    std::vector<LineEvents> events;
    const auto start = Clock::now();
    Session session = engine_.open(options);
    const auto work = [&session] {
      while (session.step() == Progress::kMore) {
      }
    };
    for (const Words& words : lines) {
      for (std::size_t i = 0; i < words.size(); ++i) {
        (void)session.push_word(words[i], i + 1 == words.size() ? Last::kYes : Last::kNo);
        if (arrival == Arrival::kWordByWord) work();
      }
      work();
      events.push_back(session.poll());
      for (const Event& event : events.back()) {
        if (event.kind == EventKind::kFailed) throw Error(ErrorCode::kInternal, "tandem: " + event.text);
      }
    }
    sample.seconds = std::chrono::duration<double>(Clock::now() - start).count();
    sample.n_tokens = session.counters().target_tokens;
    sample.n_passes = session.counters().passes;
    sample.n_rows = session.counters().rows;
    return events;
  }

  static std::vector<PeerStep> steps_of(const LineEvents& events) {
    std::vector<PeerStep> steps;
    int n_words = 0;
    for (const Event& event : events) {
      if (event.kind == EventKind::kRead) n_words = event.delay_words;
      if (event.kind != EventKind::kWrite && event.kind != EventKind::kSentence) continue;
      if (steps.empty() || n_words > steps.back().n_words) steps.push_back({.n_words = n_words});
      ++steps.back().n_tokens;
    }
    return steps;
  }

  const Arguments& arguments_;
  Engine engine_;
};

/// What a contest is about, for the reader.
struct Part {
  std::string key;
  std::string title;
  int n_words = 0;  // per line; 0: as the text has them
};

class Bench {
 public:
  explicit Bench(const Arguments& arguments)
      : arguments_(arguments),
        text_(read_lines(arguments.input)),
        setup_(make_stream_setup(arguments.model, arguments.adapter, arguments.to)),
        tandem_(arguments),
        reference_(setup_, {.k = arguments.k,
                            .n_threads = arguments.n_threads,
                            .n_slots = arguments.n_slots,
                            .target_rows_base = arguments.target_rows_base,
                            .target_rows_per_source_row = arguments.target_rows_per_source_row}),
        peer_(setup_, arguments.n_threads, arguments.n_slots) {}

  void run() {
    const std::vector<Words> lines(
        text_.begin(), text_.begin() + std::min<std::ptrdiff_t>(std::ssize(text_), arguments_.n_lines));
    if (!lines.empty()) compare({"text", fmt::format("{} lines", lines.size())}, lines);
    if (!lines.empty() && !arguments_.second.empty()) compare_targets(lines);
    for (const int n_words : arguments_.lengths) {
      const auto long_lines = lines_of_length(text_, n_words, arguments_.length_words);
      compare({"length", fmt::format("{} lines of {} words", long_lines.size(), n_words), n_words},
              long_lines);
    }
  }

 private:
  SessionOptions streaming() const { return tandem_.options(arguments_.k); }

  Contestant tandem(const std::string& key, const std::string& name, const SessionOptions& options,
                    std::span<const Words> lines, Arrival arrival = Arrival::kAtOnce) {
    return {key, name, [=, this] { return tandem_.run(options, lines, arrival); }, {}, {}};
  }

  void compare(const Part& part, std::span<const Words> lines) {
    const auto steps = tandem_.steps(streaming(), lines);
    const auto peer_lines = peer_.lines_of(lines, steps);
    std::vector<Contestant> contestants;
    if (arguments_.forces_lengths)
      contestants.push_back(
          {"offline", "tandem offline, as long", [&] { return run_offline(lines, steps); }});
    else
      contestants.push_back(tandem("offline", "tandem offline", tandem_.options(kUnlimited), lines));
    contestants.push_back(tandem("streaming", "tandem streaming", streaming(), lines));
    if (part.n_words == 0) add_switches(contestants, lines);
    contestants.push_back({"reference", "reference loop", [&] { return run_reference(lines); }});
    for (auto each = contestants.begin() + 2; each != contestants.end(); ++each) each->text_of = "streaming";
    contestants.push_back({"reencode", "libllama, all re-encoded",
                           [&] { return peer_.reencode(peer_lines, Reuse::kNothing); }});
    contestants.push_back({"reencode_prefix", "libllama, prefix reused",
                           [&] { return peer_.reencode(peer_lines, Reuse::kCommonPrefix); }});
    contestants.push_back(
        {"interleaved", "libllama, interleaved", [&] { return peer_.interleave(peer_lines); }});
    contestants.push_back({"generation", "libllama, generation", [&] { return peer_.generate(peer_lines); }});
    keep_chosen(contestants);
    take_turns(contestants, arguments_.n_rounds);
    show(part, contestants);
  }

  /// Of --only; the two that all are set against stay.
  void keep_chosen(std::vector<Contestant>& contestants) const {
    const auto is_left_out = [&](const Contestant& contestant) {
      return std::find(arguments_.only.begin(), arguments_.only.end(), contestant.key) ==
             arguments_.only.end();
    };
    if (!arguments_.only.empty())
      contestants.erase(std::remove_if(contestants.begin() + 2, contestants.end(), is_left_out),
                        contestants.end());
  }

  void add_switches(std::vector<Contestant>& contestants, std::span<const Words> lines) {
    auto options = streaming();
    options.fuse = Fuse::kNever;
    contestants.push_back(tandem("no_fuse", "streaming without fuse", options, lines));
    options = streaming();
    options.fork = Fork::kNever;
    contestants.push_back(tandem("no_fork", "streaming without fork", options, lines));
    options = streaming();
    options.read_ahead = ReadAhead::kNever;
    contestants.push_back(tandem("no_read_ahead", "streaming without read-ahead", options, lines));
    options.fuse = Fuse::kNever;
    options.fork = Fork::kNever;
    contestants.push_back(tandem("all_off", "streaming without any", options, lines));
    contestants.push_back(
        tandem("word_by_word", "streaming word by word", streaming(), lines, Arrival::kWordByWord));
  }

  Sample run_reference(std::span<const Words> lines) {
    return count_reference([&](Sample& sample) {
      for (const Words& line : lines)
        sample.texts.push_back(reference_.translate(tokenize_words(setup_, line)));
    });
  }

  /// As many tokens of each line as streaming writes.
  Sample run_offline(std::span<const Words> lines, std::span<const std::vector<PeerStep>> steps) {
    return count_reference([&](Sample&) {
      for (std::size_t i = 0; i < lines.size(); ++i) {
        int n_tokens = 0;
        for (const PeerStep& step : steps[i]) n_tokens += step.n_tokens;
        reference_.write_offline(tokenize_words(setup_, lines[i]), n_tokens);
      }
    });
  }

  template <typename Work>
  Sample count_reference(Work work) {
    Sample sample;
    const auto n_passes = reference_.n_passes();
    const auto n_rows = reference_.n_rows();
    const auto n_tokens = reference_.n_tokens();
    const auto start = Clock::now();
    work(sample);
    sample.seconds = std::chrono::duration<double>(Clock::now() - start).count();
    sample.n_passes = reference_.n_passes() - n_passes;
    sample.n_rows = reference_.n_rows() - n_rows;
    sample.n_tokens = reference_.n_tokens() - n_tokens;
    return sample;
  }

  /// Seconds of both targets together over the mean of the two alone.
  void compare_targets(std::span<const Words> lines) {
    auto options = streaming();
    std::vector<Contestant> contestants;
    contestants.push_back(tandem("first", "to " + arguments_.to, options, lines));
    options.target_languages = {arguments_.second};
    contestants.push_back(tandem("second", "to " + arguments_.second, options, lines));
    options.target_languages = {arguments_.to, arguments_.second};
    contestants.push_back(tandem("both", "to both", options, lines));
    take_turns(contestants, arguments_.n_rounds);
    const Spread cost = over_rounds(contestants[2], [&](std::size_t round) {
      const auto seconds = [&](std::size_t i) { return contestants[i].rounds[round].seconds; };
      return 2 * seconds(2) / (seconds(0) + seconds(1));
    });
    show({"targets", fmt::format("{} lines, two targets", lines.size())}, contestants);
    if (arguments_.is_json) {
      boost::json::object object = about({"cost_of_two_targets", ""});
      add_spread(object, "times_one", cost);
      fmt::print("{}\n", boost::json::serialize(object));
    } else {
      fmt::print("two targets cost {:.2f} ({:.2f} - {:.2f}) of one\n\n", cost.median, cost.least, cost.most);
    }
  }

  void show(const Part& part, const std::vector<Contestant>& contestants) const {
    if (!arguments_.is_json) {
      fmt::print("{}, k = {}, {} threads, {} rounds\n{}\n", part.title, arguments_.k, arguments_.n_threads,
                 arguments_.n_rounds, to_table(contestants));
    }
    for (const Contestant& contestant : contestants) {
      if (!arguments_.is_json) break;
      boost::json::object object = about(part);
      for (auto& [key, value] : to_json(contestant, contestants)) object[key] = std::move(value);
      fmt::print("{}\n", boost::json::serialize(object));
    }
    std::fflush(stdout);
  }

  boost::json::object about(const Part& part) const {
    boost::json::object object;
    object["part"] = part.key;
    object["model"] = arguments_.model;
    if (!arguments_.adapter.empty()) object["adapter"] = arguments_.adapter;
    object["to"] = arguments_.to;
    if (!arguments_.second.empty()) object["second"] = arguments_.second;
    object["k"] = arguments_.k;
    object["threads"] = arguments_.n_threads;
    object["rounds"] = arguments_.n_rounds;
    if (part.n_words > 0) object["words"] = part.n_words;
    return object;
  }

  const Arguments& arguments_;
  std::vector<Words> text_;
  StreamSetup setup_;
  Tandem tandem_;
  ReferenceLoop reference_;
  PeerStream peer_;
};

void add_options(CLI::App& app, Arguments& arguments) {
  const auto number = [&](const std::string& name, int& value, const std::string& what, int least) {
    app.add_option(name, value, what)->capture_default_str()->check(CLI::Range(least, 1 << 20));
  };
  app.add_option("--model", arguments.model, "A GGUF file")->capture_default_str();
  app.add_option("--adapter", arguments.adapter, "A LoRA adapter for it, which libllama does without");
  app.add_option("--input", arguments.input, "Source text, a sentence a line")->required();
  app.add_option("--to", arguments.to, "Target language")->capture_default_str();
  app.add_option("--second", arguments.second, "Also: one source to this language too, beside one target");
  number("--k", arguments.k, "Of wait-k", 1);
  number("--threads", arguments.n_threads, "Of every contestant", 1);
  number("--rounds", arguments.n_rounds, "After one that is not measured", 1);
  number("--lines", arguments.n_lines, "Of the input, at most; 0: nothing but --lengths", 0);
  app.add_option("--lengths", arguments.lengths, "Also: lines of so many words, joined and cut")
      ->delimiter(',')
      ->check(CLI::Range(1, 10000));
  number("--length-words", arguments.length_words, "Words of all lines of a length together", 1);
  number("--slots", arguments.n_slots, "Rows that a line and its target may have", 64);
  number("--target-rows-base", arguments.target_rows_base, "As in SessionOptions", 0);
  number("--target-rows-per-source-row", arguments.target_rows_per_source_row, "As in SessionOptions", 0);
  app.add_option("--only", arguments.only,
                 "Contestants beside offline and streaming, by their keys in --json")
      ->delimiter(',')
      ->type_name("KEY,...");
  app.add_flag("--force-lengths", arguments.forces_lengths,
               "Offline too, write as many tokens of each line as streaming does (for stock models)");
  app.add_flag("--json", arguments.is_json, "An object per contestant instead of tables");
}

}  // namespace
}  // namespace tandem::bench

int main(int argc, char** argv) {
  CLI::App app("What streaming costs beside offline decoding, the paper's loop and libllama");
  tandem::bench::Arguments arguments;
  tandem::bench::add_options(app, arguments);
  CLI11_PARSE(app, argc, argv);
  try {
    tandem::bench::Bench(arguments).run();
  } catch (const std::exception& error) {
    std::cerr << "bench_stream_speed: " << error.what() << '\n';
    return 1;
  }
  return 0;
}
