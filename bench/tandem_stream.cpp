#include "bench/tandem_stream.h"

#include <chrono>

#include "engine/pass_costs.h"

namespace tandem::bench {

namespace {

using Clock = std::chrono::steady_clock;

std::vector<Step> steps_of(std::span<const Event> events) {
  std::vector<Step> steps;
  int n_words = 0;
  for (const Event& event : events) {
    if (event.kind == EventKind::kRead) n_words = event.delay_words;
    if (event.kind != EventKind::kWrite && event.kind != EventKind::kSentence) continue;
    if (steps.empty() || n_words > steps.back().n_words) steps.push_back({.n_words = n_words});
    ++steps.back().n_tokens;
  }
  return steps;
}

}  // namespace

Sample TandemStream::run(const SessionOptions& options, const Text& text, Arrival arrival) {
  Sample sample;
  for (const LineEvents& line : translate(options, text, arrival, sample)) {
    std::string& written = sample.texts.emplace_back();
    for (const Event& event : line) written += event.kind == EventKind::kCommit ? event.text : "";
  }
  return sample;
}

std::vector<std::vector<Step>> TandemStream::steps(const SessionOptions& options, const Text& text) {
  std::vector<std::vector<Step>> steps;
  Sample unused;
  for (const LineEvents& line : translate(options, text, Arrival::kAtOnce, unused))
    steps.push_back(steps_of(line));
  return steps;
}

std::vector<TandemStream::LineEvents> TandemStream::translate(const SessionOptions& options, const Text& text,
                                                              Arrival arrival, Sample& sample) {
  if (!text.targets.empty()) return translate_with(*open_dictated(options), text, arrival, sample);
  Session session = engine_.open(options);
  return translate_with(session, text, arrival, sample);
}

template <typename AnySession>
std::vector<TandemStream::LineEvents> TandemStream::translate_with(AnySession& session, const Text& text,
                                                                   Arrival arrival, Sample& sample) {
  std::vector<LineEvents> events;
  const auto work = [&session] {
    while (session.step() == Progress::kMore) {
    }
  };
  const auto start = Clock::now();
  for (std::size_t line = 0; line < text.lines.size(); ++line) {
    const Words& words = text.lines[line];
    if (!text.targets.empty()) network_.dictate(text.targets[line]);
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

/// As Engine::open puts a session together, but for what bounds and blocks what a model says.
std::unique_ptr<SessionCore> TandemStream::open_dictated(const SessionOptions& options) {
  const Vocabulary& vocabulary = *setup_.model->vocabulary();
  SessionParts parts;
  parts.network = &network_;
  parts.adapter = setup_.adapter;
  parts.forks_pay_alone = forks_pay();
  parts.span = network_.reserve(n_slots_);
  parts.target_start = setup_.target_start;
  parts.tokenize_word = [&vocabulary](std::string_view word, bool is_first) {
    return vocabulary.tokenize_word(word, is_first);
  };
  const WaitK k = options.k == kUnlimited ? WaitK::unlimited() : WaitK(options.k);
  parts.targets.push_back(
      {.prompt = setup_.prompt,
       .policy = std::make_unique<WaitKPolicy>(k),
       .sampler = std::make_unique<Sampler>(vocabulary.pieces(), setup_.prompt.end, setup_.head().ids)});
  parts.setup = {.pieces = vocabulary.pieces(),
                 .bytes = vocabulary.byte_table(),
                 .end_marker = setup_.end_marker,
                 .fuse = options.fuse,
                 .fork = options.fork,
                 .read_ahead = options.read_ahead,
                 .target_rows_base = n_slots_};
  return std::make_unique<SessionCore>(std::move(parts));
}

bool TandemStream::forks_pay() {
  constexpr int kRows = 4;  // that a pass of one session has, or about
  if (!forks_pay_) {
    network_.stop();
    forks_pay_ = PassCosts(measure_pass_costs(network_, setup_.adapter, kRows)).forks_pay(1);
  }
  return *forks_pay_;
}

}  // namespace tandem::bench
