#include "bench/peer_stream.h"

#include <algorithm>
#include <chrono>

namespace tandem::bench {

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

std::vector<llama_token> plain(std::span<const TokenId> ids) {
  std::vector<llama_token> tokens;
  for (const TokenId id : ids) tokens.push_back(to_int(id));
  return tokens;
}

void append(std::vector<llama_token>& to, const std::vector<llama_token>& more) {
  to.insert(to.end(), more.begin(), more.end());
}

}  // namespace

PeerStream::PeerStream(const StreamSetup& setup, int n_threads, int n_slots)
    : setup_(setup),
      prompt_{plain(setup.prompt.source_prefix), plain(setup.prompt.source_suffix),
              plain(setup.prompt.target_prefix)},
      peer_(setup.model->path(), n_threads, n_slots) {}

std::vector<PeerLine> PeerStream::lines_of(std::span<const Words> lines,
                                           std::span<const std::vector<Step>> steps) const {
  std::vector<PeerLine> result;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    PeerLine& line = result.emplace_back();
    for (const auto& word : tokenize_words(setup_, lines[i])) line.words.push_back(plain(word));
    line.steps = steps[i];
  }
  return result;
}

/// Words [begin, end), with the prefix in front of the first and the suffix behind the last.
std::vector<llama_token> PeerStream::source_of(const PeerLine& line, int begin, int end) const {
  std::vector<llama_token> tokens;
  if (begin == 0) tokens = prompt_.source_prefix;
  for (int word = begin; word < end; ++word) append(tokens, line.words[static_cast<std::size_t>(word)]);
  if (end == static_cast<int>(line.words.size())) append(tokens, prompt_.source_suffix);
  return tokens;
}

llama_token PeerStream::decode(std::vector<llama_token>& tokens, Sample& sample) {
  peer_.decode(tokens);
  ++sample.n_passes;
  sample.n_rows += std::ssize(tokens);
  return peer_.best();
}

/// Writes `n_tokens`, of which `first` is known. Returns the last, which is not evaluated.
llama_token PeerStream::write(int n_tokens, llama_token first, Sample& sample,
                              std::vector<llama_token>* written) {
  std::vector<llama_token> token = {first};
  for (int i = 0; i < n_tokens; ++i) {
    if (i > 0) token[0] = decode(token, sample);
    if (written != nullptr) written->push_back(token[0]);
  }
  sample.n_tokens += n_tokens;
  return token[0];
}

Sample PeerStream::reencode(std::span<const PeerLine> lines, Reuse reuse) {
  Sample sample;
  const auto start = Clock::now();
  for (const PeerLine& line : lines) {
    std::vector<llama_token> cached;  // as far as the next prompt may have it too
    std::vector<llama_token> written;
    for (const Step& step : line.steps) {
      auto source = source_of(line, 0, step.n_words);
      const auto n_kept = static_cast<std::size_t>(
          std::mismatch(cached.begin(), cached.end(), source.begin(), source.end()).first - cached.begin());
      peer_.keep(static_cast<int>(n_kept));
      std::vector<llama_token> rest(source.begin() + static_cast<std::ptrdiff_t>(n_kept), source.end());
      append(rest, prompt_.target_prefix);
      append(rest, written);
      write(step.n_tokens, decode(rest, sample), sample, &written);
      if (reuse == Reuse::kCommonPrefix) cached = std::move(source);
    }
  }
  sample.seconds = seconds_since(start);
  return sample;
}

Sample PeerStream::interleave(std::span<const PeerLine> lines) {
  Sample sample;
  const auto start = Clock::now();
  for (const PeerLine& line : lines) {
    peer_.keep(0);
    std::vector<llama_token> tokens;
    int n_words = 0;
    for (const Step& step : line.steps) {
      append(tokens, source_of(line, n_words, step.n_words));
      if (n_words == 0) append(tokens, prompt_.target_prefix);
      n_words = step.n_words;
      tokens = {write(step.n_tokens, decode(tokens, sample), sample, nullptr)};
    }
  }
  sample.seconds = seconds_since(start);
  return sample;
}

Sample PeerStream::generate(std::span<const PeerLine> lines) {
  Sample sample;
  for (const PeerLine& line : lines) {
    peer_.keep(0);
    auto prompt = source_of(line, 0, static_cast<int>(line.words.size()));
    append(prompt, prompt_.target_prefix);
    Sample unmeasured;
    std::vector<llama_token> token = {decode(prompt, unmeasured)};
    const auto start = Clock::now();
    for (const Step& step : line.steps) {
      for (int i = 0; i < step.n_tokens; ++i) token[0] = decode(token, sample);
      sample.n_tokens += step.n_tokens;
    }
    sample.seconds += seconds_since(start);
  }
  return sample;
}

}  // namespace tandem::bench
