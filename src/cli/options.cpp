#include "cli/options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <map>

namespace tandem {
namespace {

constexpr int kLargestK = 100000;
constexpr int kLargestCount = 100000;

std::vector<std::string_view> split_at_commas(std::string_view text) {
  std::vector<std::string_view> parts;
  for (;;) {
    const std::size_t comma = text.find(',');
    parts.push_back(text.substr(0, comma));
    if (comma == std::string_view::npos) return parts;
    text.remove_prefix(comma + 1);
  }
}

template <typename T>
void add_unlike_others(std::vector<T>& values, T value, std::string_view option, std::string_view text) {
  if (std::find(values.begin(), values.end(), value) != values.end()) {
    throw UsageError(fmt::format("{}: expected each value once, got '{}'", option, text));
  }
  values.push_back(std::move(value));
}

const std::map<std::string, CachePrecision> kCaches = {{"f32", CachePrecision::kFloat32},
                                                       {"f16", CachePrecision::kFloat16},
                                                       {"q8_0", CachePrecision::kQ8},
                                                       {"q4_0", CachePrecision::kQ4}};

/// Nothing if `text` is not a whole number from 1 to `most`.
std::optional<int> parse_number(std::string_view text, int most) {
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool is_whole = error == std::errc() && end == text.data() + text.size();
  return is_whole && number >= 1 && number <= most ? std::optional(number) : std::nullopt;
}

constexpr std::string_view kPromptGroup =
    "Prompt of a stock model (no tandem.* keys in it or its adapter; default: its chat format)";

}  // namespace

int parse_k(std::string_view text) {
  if (text == "inf") return kUnlimited;
  if (const auto k = parse_number(text, kLargestK)) return *k;
  throw UsageError(
      fmt::format("--k: expected a whole number from 1 to {}, or inf, got '{}'", kLargestK, text));
}

std::vector<int> parse_ks(std::string_view text) {
  std::vector<int> ks;
  for (std::string_view part : split_at_commas(text)) add_unlike_others(ks, parse_k(part), "--k", text);
  return ks;
}

std::vector<int> parse_counts(std::string_view option, std::string_view text) {
  std::vector<int> counts;
  for (std::string_view part : split_at_commas(text)) {
    const auto count = parse_number(part, kLargestCount);
    if (!count) {
      throw UsageError(
          fmt::format("{}: expected whole numbers from 1 to {}, got '{}'", option, kLargestCount, part));
    }
    add_unlike_others(counts, *count, option, text);
  }
  return counts;
}

std::string k_name(int k) {
  return k == kUnlimited ? "inf" : fmt::format("{}", k);
}

std::vector<std::string> parse_languages(std::string_view text) {
  std::vector<std::string> languages;
  for (std::string_view part : split_at_commas(text)) {
    if (part.empty()) throw UsageError(fmt::format("--to: expected languages such as de,fr, got '{}'", text));
    add_unlike_others(languages, std::string(part), "--to", text);
  }
  return languages;
}

void add_adapter_option(CLI::App& command, std::string& adapter) {
  command.add_option("--adapter", adapter, "A LoRA adapter for the model, a GGUF file")->type_name("FILE");
}

void add_threads_option(CLI::App& command, int& n_threads) {
  command.add_option("--threads", n_threads, "Threads that compute; 0: one per core")
      ->check(CLI::Range(0, 1024))
      ->type_name("N")
      ->capture_default_str();
}

void add_fork_option(CLI::App& command, Fork& fork) {
  static const std::map<std::string, Fork> kForks = {
      {"auto", Fork::kByCost}, {"always", Fork::kWhenReady}, {"never", Fork::kNever}};
  command
      .add_option("--fork", fork,
                  "Ask whether a word goes on and what follows it in one pass: always, never, or auto:\n"
                  "what is faster here. Changes no text")
      ->transform(CLI::CheckedTransformer(kForks).description(""))
      ->type_name("auto|always|never")
      ->default_str(std::find_if(kForks.begin(), kForks.end(), [&](const auto& entry) {
                      return entry.second == fork;
                    })->first);
}

void add_repetition_option(CLI::App& command, std::optional<int>& no_repeat_ngram) {
  command
      .add_option("--no-repeat-ngram", no_repeat_ngram,
                  "No N tokens twice in the same order in one target; 0: no such rule. Default: what the\n"
                  "model or its adapter says, else 0")
      ->check(CLI::Range(0, 1000))
      ->type_name("N");
}

void add_policy_option(CLI::App& command, std::string& policy) {
  command.add_option("--policy", policy, "When to read and when to write")
      ->check(CLI::IsMember({"wait-k"}))
      ->capture_default_str();
}

void ModelArguments::add_to(CLI::App& command) {
  command.add_option("--model", model, "The model, a GGUF file")->required()->type_name("FILE");
  add_adapter_option(command, adapter);
  command
      .add_option(
          "--device", device,
          "What computes, by ggml's name: CPU, CUDA0, Vulkan0, ...; a wrong one shows which there are.\n"
          "Default: the first GPU that the build knows, else the CPU")
      ->type_name("NAME");
  add_threads_option(command, n_threads);
  command.add_option("--slots", slots, "Tokens of source and target that a sentence may have together")
      ->check(CLI::Range(64, 1 << 20))
      ->type_name("N")
      ->capture_default_str();
  command.add_option("--cache", cache, "How sessions keep K and V; `tandem inspect` says what each takes")
      ->check(CLI::IsMember(&kCaches))
      ->capture_default_str();
  static const std::map<std::string, Wide> kWides = {
      {"auto", Wide::kByCost}, {"always", Wide::kAlways}, {"never", Wide::kNever}};
  command
      .add_option(
          "--wide", wide,
          "Multiply with a second copy of quantised weights (9 bits each): in all passes, in none, or auto:\n"
          "in those of so many rows that it pays here")
      ->transform(CLI::CheckedTransformer(kWides).description(""))
      ->type_name("auto|always|never")
      ->default_str("auto");
  const auto add_prompt = [&](const char* name, std::string& text, const char* what) {
    command.add_option(name, text, what)->type_name("TEXT")->group(std::string(kPromptGroup));
  };
  add_prompt("--source-prefix", prompt.source_prefix, "Before the source; special tokens by their names");
  add_prompt("--source-suffix", prompt.source_suffix, "After the source");
  add_prompt("--target-prefix", prompt.target_prefix, "Before the target, at least one token");
  add_prompt("--target-end", prompt.end, "What ends the target");
}

std::optional<PromptText> ModelArguments::stock_prompt() const {
  const bool is_given = !(prompt.source_prefix.empty() && prompt.source_suffix.empty() &&
                          prompt.target_prefix.empty() && prompt.end.empty());
  if (!is_given) return std::nullopt;
  if (prompt.target_prefix.empty() || prompt.end.empty()) {
    throw UsageError(
        "a prompt of one's own: expected --target-prefix and --target-end, got only a part of it");
  }
  return prompt;
}

Engine ModelArguments::load(int n_sessions) const {
  Engine engine = Engine::load(model, {.device = device,
                                       .n_threads = n_threads,
                                       .session_slots = slots,
                                       .max_sessions = n_sessions,
                                       .cache = kCaches.at(cache),
                                       .wide = wide});
  if (!adapter.empty()) engine.load_adapter(adapter);
  return engine;
}

}  // namespace tandem
