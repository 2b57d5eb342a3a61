// What streaming costs, beside everything that it can be set against, in one run on one file:
//
//   tandem offline       k = inf: the whole source, then the target. The yardstick
//   tandem streaming     at k, the whole source pushed first; then with each switch off by itself, with all
//                        off, and with the source pushed word by word
//   reference loop       the paper's decoding loop on Tandem's own network (reference_loop.h)
//   libllama             re-encoding at each READ, interleaved with cache, and plain generation
//   (peer_stream.h)
//
// Then, if asked for: one source with two targets beside one target, and the same contest by the source's
// length. What is written is what the model says, or a text that is dictated to all (dictation.h). Figures
// are per target token (text tokens and ends), ratios are taken round by round (contest.h).
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
#include "bench/tandem_stream.h"
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
  std::string target;
  int k = 3;
  int n_threads = 2;
  int n_rounds = 7;
  int n_length_rounds = 3;
  int n_lines = 100;
  std::vector<int> lengths;
  int length_words = 600;
  int n_slots = 2048;
  int target_rows_base = 48;
  int target_rows_per_source_row = 3;
  std::vector<std::string> only;
  bool dictates = false;
  bool is_json = false;
};

Words words_of(const std::string& line) {
  std::istringstream in(line);
  return {std::istream_iterator<std::string>(in), {}};
}

std::vector<Words> read_lines(const std::string& option, const std::string& path) {
  std::ifstream in(path);
  if (!in) throw Error(ErrorCode::kNotFound, option + ": expected a file, found none at " + path);
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
        lines_(read_lines("--input", arguments.input)),
        setup_(make_stream_setup(arguments.model, arguments.adapter, arguments.to)),
        engine_(Engine::load(arguments.model,
                             {.n_threads = arguments.n_threads, .session_slots = arguments.n_slots})),
        network_(setup_.model->make_network(
            {.n_threads = arguments.n_threads, .n_slots = arguments.n_slots, .cache_type = CacheType::kF16})),
        dictating_(*network_, setup_),
        tandem_(engine_, setup_, dictating_, arguments.n_slots),
        peer_(setup_, arguments.n_threads, arguments.n_slots) {
    if (!arguments.adapter.empty()) engine_.load_adapter(arguments.adapter);
    multiply_as_the_engine();
    if (arguments.target.empty()) return;
    targets_ = read_lines("--target", arguments.target);
    if (targets_.size() == lines_.size()) return;
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("--target: expected a line for each of the input's {}, got {}", lines_.size(),
                            targets_.size()));
  }

  void run() {
    const auto n_lines = std::min(lines_.size(), static_cast<std::size_t>(arguments_.n_lines));
    if (n_lines > 0) {
      Text text{.lines = std::span(lines_).first(n_lines)};
      if (!arguments_.second.empty()) compare_targets(text);
      std::vector<std::vector<TokenId>> targets;
      if (arguments_.dictates) targets = tokenize_targets(setup_, std::span(targets_).first(n_lines));
      text.targets = targets;
      compare({"text", fmt::format("{} lines", n_lines)}, text);
    }
    for (const int n_words : arguments_.lengths) {
      const auto lines = lines_of_length(lines_, n_words, arguments_.length_words);
      const auto targets =
          tokenize_targets(setup_, lines_of_length(targets_, n_words, arguments_.length_words));
      compare({"length", fmt::format("{} lines of {} words", lines.size(), n_words), n_words},
              {lines, targets});
    }
  }

 private:
  SessionOptions options(int k) const {
    SessionOptions options;
    options.target_languages = {arguments_.to};
    options.adapter = arguments_.adapter;
    options.k = k;
    options.target_rows_base = arguments_.target_rows_base;
    options.target_rows_per_source_row = arguments_.target_rows_per_source_row;
    return options;
  }
  SessionOptions streaming() const { return options(arguments_.k); }

  /// The reference loop's network, too, and that of dictated sessions.
  void multiply_as_the_engine() {
    (void)engine_.open(streaming());  // which measures from how many rows on copies pay
    if (engine_.wide_rows() > 0 && network_->widen(setup_.adapter))
      network_->set_wide_rows(engine_.wide_rows());
  }

  Contestant tandem(const std::string& key, const std::string& name, const SessionOptions& options,
                    const Text& text, Arrival arrival = Arrival::kAtOnce) {
    return {key, name, [=, this] { return tandem_.run(options, text, arrival); }, {}, {}};
  }

  void compare(const Part& part, const Text& text) {
    const auto peer_lines = peer_.lines_of(text.lines, tandem_.steps(streaming(), text));
    std::vector<Contestant> contestants;
    contestants.push_back(tandem("offline", "tandem offline", options(kUnlimited), text));
    contestants.push_back(tandem("streaming", "tandem streaming", streaming(), text));
    if (part.n_words == 0) add_switches(contestants, text);
    contestants.push_back({"reference", "reference loop", [&] { return run_reference(text); }});
    const bool same_offline = !text.targets.empty();
    for (auto each = contestants.begin(); each != contestants.end(); ++each)
      if (each->key != "offline" || same_offline) each->text_of = "streaming";
    add_peers(contestants, peer_lines);
    keep_chosen(contestants);
    const int n_rounds = part.n_words > 0 ? arguments_.n_length_rounds : arguments_.n_rounds;
    take_turns(contestants, n_rounds, is_warm_ ? WarmUp::kNo : WarmUp::kYes);
    is_warm_ = true;
    show(part, contestants);
  }

  void add_peers(std::vector<Contestant>& contestants, const std::vector<PeerLine>& lines) {
    contestants.push_back(
        {"reencode", "libllama, all re-encoded", [&] { return peer_.reencode(lines, Reuse::kNothing); }});
    contestants.push_back({"reencode_prefix", "libllama, prefix reused",
                           [&] { return peer_.reencode(lines, Reuse::kCommonPrefix); }});
    contestants.push_back({"interleaved", "libllama, interleaved", [&] { return peer_.interleave(lines); }});
    contestants.push_back({"generation", "libllama, generation", [&] { return peer_.generate(lines); }});
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

  void add_switches(std::vector<Contestant>& contestants, const Text& text) {
    auto options = streaming();
    options.fuse = Fuse::kNever;
    contestants.push_back(tandem("no_fuse", "streaming without fuse", options, text));
    options = streaming();
    options.fork = Fork::kNever;
    contestants.push_back(tandem("no_fork", "streaming without fork", options, text));
    options = streaming();
    options.read_ahead = ReadAhead::kNever;
    contestants.push_back(tandem("no_read_ahead", "streaming without read-ahead", options, text));
    options.fuse = Fuse::kNever;
    options.fork = Fork::kNever;
    contestants.push_back(tandem("all_off", "streaming without any", options, text));
    contestants.push_back(
        tandem("word_by_word", "streaming word by word", streaming(), text, Arrival::kWordByWord));
  }

  Sample run_reference(const Text& text) {
    const bool is_dictated = !text.targets.empty();
    ReferenceLoop loop(setup_, dictating_,
                       {.k = arguments_.k,
                        .n_slots = arguments_.n_slots,
                        .no_repeat_ngram = is_dictated ? 0 : setup_.no_repeat_ngram,
                        .target_rows_base = is_dictated ? arguments_.n_slots : arguments_.target_rows_base,
                        .target_rows_per_source_row = arguments_.target_rows_per_source_row});
    dictating_.stop();
    Sample sample;
    const auto start = Clock::now();
    for (std::size_t line = 0; line < text.lines.size(); ++line) {
      if (is_dictated) dictating_.dictate(text.targets[line]);
      sample.texts.push_back(loop.translate(tokenize_words(setup_, text.lines[line])));
    }
    sample.seconds = std::chrono::duration<double>(Clock::now() - start).count();
    sample.n_passes = loop.n_passes();
    sample.n_rows = loop.n_rows();
    sample.n_tokens = loop.n_tokens();
    return sample;
  }

  /// Seconds of both targets together over the mean of the two alone.
  void compare_targets(const Text& text) {
    auto options = streaming();
    std::vector<Contestant> contestants;
    contestants.push_back(tandem("first", "to " + arguments_.to, options, text));
    options.target_languages = {arguments_.second};
    contestants.push_back(tandem("second", "to " + arguments_.second, options, text));
    options.target_languages = {arguments_.to, arguments_.second};
    contestants.push_back(tandem("both", "to both", options, text));
    take_turns(contestants, arguments_.n_rounds, WarmUp::kYes);
    const Spread cost = over_rounds(contestants[2], [&](std::size_t round) {
      const auto seconds = [&](std::size_t i) { return contestants[i].rounds[round].seconds; };
      return 2 * seconds(2) / (seconds(0) + seconds(1));
    });
    show({"targets", fmt::format("{} lines, two targets", text.lines.size())}, contestants);
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
                 contestants.front().rounds.size(), to_table(contestants));
    }
    for (const Contestant& contestant : contestants) {
      if (!arguments_.is_json) break;
      boost::json::object object = about(part);
      for (auto& [key, value] : to_json(contestant, contestants)) object[key] = std::move(value);
      object["rounds"] = contestant.rounds.size();
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
  std::vector<Words> lines_;
  std::vector<Words> targets_;
  StreamSetup setup_;
  Engine engine_;
  std::unique_ptr<Network> network_;
  DictatingNetwork dictating_;
  TandemStream tandem_;
  PeerStream peer_;
  bool is_warm_ = false;  // after the first contest all have read their weights
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
  CLI::Option* target =
      app.add_option("--target", arguments.target, "Target text to dictate, a line for each of --input");
  number("--k", arguments.k, "Of wait-k", 1);
  number("--threads", arguments.n_threads, "Of every contestant", 1);
  number("--rounds", arguments.n_rounds, "Of the lines, after one that is not measured", 1);
  number("--lines", arguments.n_lines, "Of the input, at most; 0: nothing but --lengths", 0);
  app.add_option("--lengths", arguments.lengths, "Also: lines of so many words, joined and cut, dictated")
      ->needs(target)
      ->delimiter(',')
      ->check(CLI::Range(1, 10000));
  number("--length-rounds", arguments.n_length_rounds, "Of each length: re-encoding long lines takes minutes",
         1);
  number("--length-words", arguments.length_words, "Words of all lines of a length together", 1);
  number("--slots", arguments.n_slots, "Rows that a line and its target may have", 64);
  number("--target-rows-base", arguments.target_rows_base, "As in SessionOptions", 0);
  number("--target-rows-per-source-row", arguments.target_rows_per_source_row, "As in SessionOptions", 0);
  app.add_option("--only", arguments.only,
                 "Contestants beside offline and streaming, by their keys in --json")
      ->delimiter(',')
      ->type_name("KEY,...");
  app.add_flag("--dictate", arguments.dictates,
               "Every contestant writes --target's lines, not what the model says")
      ->needs(target);
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
