// The public face: a model and its one network, from which sessions are opened. Everything a session does is
// in session_core.cpp; this file only puts the parts together.
#include "tandem/engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <thread>

#include "engine/session_core.h"
#include "engine/shared_pass.h"
#include "model/adapter.h"
#include "model/cache_type.h"
#include "model/model.h"
#include "text/chat_format.h"

namespace tandem {

namespace {

CacheType cache_type_of(CachePrecision precision) {
  switch (precision) {
    case CachePrecision::kFloat16:
      return CacheType::kF16;
    case CachePrecision::kFloat32:
      return CacheType::kF32;
    case CachePrecision::kQ8_0:
      return CacheType::kQ8_0;
    case CachePrecision::kQ4_0:
      return CacheType::kQ4_0;
  }
  throw Error(ErrorCode::kInvalidArgument, "engine: cache: expected a CachePrecision");
}

}  // namespace

class EngineCore {
 public:
  EngineCore(std::shared_ptr<const Model> model, const EngineOptions& options)
      : model_(std::move(model)), options_(options) {
    NetworkOptions network;
    const int n_cores = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
    network.n_threads = options.n_threads > 0 ? options.n_threads : n_cores;
    network.n_slots = options.session_slots * options.max_sessions;
    network.cache_type = cache_type_of(options.cache);
    network_ = model_->make_network(network);
  }

  void load_adapter(const std::string& path) { adapters_[path] = model_->load_adapter(path); }
  std::unique_ptr<SessionCore> open(const SessionOptions& options);
  std::vector<Progress> step(std::span<SessionCore* const> sessions) {
    return step_together(*network_, sessions);
  }
  std::vector<std::string> target_languages(const std::string& adapter) const;
  std::int64_t session_bytes() const;

 private:
  std::shared_ptr<const Adapter> find_adapter(const std::string& path) const;
  const std::optional<StreamMetadata>& metadata_of(const Adapter* adapter) const;
  PromptTemplate prompt_of(const SessionOptions& options,
                           const std::optional<StreamMetadata>& metadata) const;
  Prompt tokens_of(const PromptTemplate& prompt, const std::string& language, const Head& head) const;
  CacheSpan reserve(const Prompt& prompt);

  std::shared_ptr<const Model> model_;
  EngineOptions options_;
  std::unique_ptr<Network> network_;
  std::map<std::string, std::shared_ptr<const Adapter>> adapters_;  // by path
};

namespace {

WaitK lag_of(int k) {
  return k == kUnlimited ? WaitK::unlimited() : WaitK(k);
}

EndMarker end_marker_of(const SessionOptions& options, const std::optional<StreamMetadata>& metadata) {
  if (options.suffix)
    return *options.suffix == Suffix::kOwnUnit ? EndMarker::kOwnUnit : EndMarker::kWithLastWord;
  const bool is_own_unit = metadata && metadata->end_marker == TrainedEndMarker::kOwnUnit;
  return is_own_unit ? EndMarker::kOwnUnit : EndMarker::kWithLastWord;
}

int no_repeat_ngram_of(const SessionOptions& options, const std::optional<StreamMetadata>& metadata) {
  const int n = options.no_repeat_ngram.value_or(metadata ? metadata->no_repeat_ngram : 0);
  if (n >= 0) return n;
  throw Error(ErrorCode::kInvalidArgument,
              fmt::format("session: no_repeat_ngram: expected 0 or more, got {}", n));
}

}  // namespace

std::shared_ptr<const Adapter> EngineCore::find_adapter(const std::string& path) const {
  if (path.empty()) return nullptr;
  if (const auto found = adapters_.find(path); found != adapters_.end()) return found->second;
  std::string loaded;
  for (const auto& [name, adapter] : adapters_)
    loaded += fmt::format("{}'{}'", loaded.empty() ? "" : ", ", name);
  throw Error(ErrorCode::kNotFound, fmt::format("session: adapter: expected a loaded one ({}), got '{}'",
                                                loaded.empty() ? "there is none" : loaded, path));
}

/// An adapter's keys take the place of the model's, all of them; one without any runs as the model says.
const std::optional<StreamMetadata>& EngineCore::metadata_of(const Adapter* adapter) const {
  return adapter != nullptr && adapter->metadata() ? adapter->metadata() : model_->metadata();
}

std::vector<std::string> EngineCore::target_languages(const std::string& adapter) const {
  std::vector<std::string> languages;
  const auto& metadata = metadata_of(find_adapter(adapter).get());
  if (!metadata) return languages;
  for (const auto& [language, prefix] : metadata->prompt.target_prefix) languages.push_back(language);
  return languages;
}

PromptTemplate EngineCore::prompt_of(const SessionOptions& options,
                                     const std::optional<StreamMetadata>& metadata) const {
  if (options.prompt) {
    const PromptText& text = *options.prompt;
    return {.source_prefix = text.source_prefix,
            .source_suffix = text.source_suffix,
            .target_prefix = {{options.target_language, text.target_prefix}},
            .end = text.end};
  }
  if (metadata) return metadata->prompt;
  const Vocabulary& vocabulary = *model_->vocabulary();
  if (const auto format = find_chat_format(vocabulary))
    return make_chat_prompt(*format, options.target_language, vocabulary);
  throw Error(
      ErrorCode::kUnsupported,
      fmt::format("{}: expected tandem.* keys (a model trained to stream) or the tokens of a chat format "
                  "that is known, got a stock model: give its prompt",
                  model_->path()));
}

Prompt EngineCore::tokens_of(const PromptTemplate& prompt, const std::string& language,
                             const Head& head) const {
  Prompt tokens = tokenize_prompt(prompt, language, *model_->vocabulary());
  const bool has_end =
      head.ids.empty() || std::binary_search(head.ids.begin(), head.ids.end(), tokens.end.front());
  if (!has_end) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("prompt: end: expected one of the {} ids that the model keeps, got '{}'",
                            head.ids.size(), prompt.end));
  }
  return tokens;
}

CacheSpan EngineCore::reserve(const Prompt& prompt) {
  const auto n_rows = static_cast<int>(prompt.source_prefix.size() + prompt.source_suffix.size() +
                                       prompt.target_prefix.size());
  if (n_rows + 2 > std::min(options_.session_slots, network_->max_rows_per_pass())) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("session: expected room for a prompt of {} rows, got {} slots", n_rows,
                            options_.session_slots));
  }
  const CacheSpan span = network_->reserve(options_.session_slots);
  if (span.size > 0) return span;
  throw Error(
      ErrorCode::kUnsupported,
      fmt::format("session: expected at most {} open at a time, got one more", options_.max_sessions));
}

std::int64_t EngineCore::session_bytes() const {
  const std::size_t bytes_per_slot = cache_bytes_per_slot(model_->config(), cache_type_of(options_.cache));
  return static_cast<std::int64_t>(bytes_per_slot) * options_.session_slots;
}

std::unique_ptr<SessionCore> EngineCore::open(const SessionOptions& options) {
  const Vocabulary& vocabulary = *model_->vocabulary();
  SessionParts parts;
  parts.adapter = find_adapter(options.adapter);
  const auto& metadata = metadata_of(parts.adapter.get());
  const Head& head = parts.adapter ? *parts.adapter->head() : *model_->head();
  parts.prompt = tokens_of(prompt_of(options, metadata), options.target_language, head);
  parts.policy = std::make_unique<WaitKPolicy>(lag_of(options.k));
  parts.sampler = std::make_unique<Sampler>(vocabulary.pieces(), parts.prompt.end, head.ids);
  parts.tokenize_word = [&vocabulary](std::string_view word, bool is_first) {
    return vocabulary.tokenize_word(word, is_first);
  };
  if (metadata) {
    parts.target_start = metadata->target_start;
    parts.source_unit = word_unit_of(metadata->source_languages.front());
  }
  parts.setup.pieces = vocabulary.pieces();
  parts.setup.bytes = vocabulary.byte_table();
  parts.setup.target_unit = word_unit_of(options.target_language);
  parts.setup.end_marker = end_marker_of(options, metadata);
  parts.setup.no_repeat_ngram = no_repeat_ngram_of(options, metadata);
  parts.setup.fork = options.fork;
  parts.setup.read_ahead = options.read_ahead;
  parts.setup.target_rows_base = options.target_rows_base;
  parts.setup.target_rows_per_source_row = options.target_rows_per_source_row;

  parts.network = network_.get();
  parts.span = reserve(parts.prompt);
  parts.span_bytes = session_bytes();
  return std::make_unique<SessionCore>(std::move(parts));
}

// ---- Engine
// -----------------------------------------------------------------------------------------------------

Engine Engine::load(const std::string& path, const EngineOptions& options) {
  constexpr std::int64_t kMostSlots = std::int64_t{1} << 24;  // beyond, positions are no longer exact in f32
  const bool is_too_large = std::int64_t{options.session_slots} * options.max_sessions > kMostSlots;
  if (options.session_slots < 8 || options.max_sessions < 1 || options.n_threads < 0 || is_too_large) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("engine: expected session_slots >= 8, max_sessions >= 1, at most {} slots in "
                            "all, n_threads >= 0, got "
                            "{}, {}, {}",
                            kMostSlots, options.session_slots, options.max_sessions, options.n_threads));
  }
  return Engine(std::make_unique<EngineCore>(Model::load(path), options));
}

Engine::Engine(std::unique_ptr<EngineCore> core) : core_(std::move(core)) {}
Engine::Engine(Engine&&) noexcept = default;
Engine& Engine::operator=(Engine&&) noexcept = default;
Engine::~Engine() = default;

Session Engine::open(const SessionOptions& options) {
  return Session(core_->open(options));
}

std::vector<Progress> Engine::step(std::span<Session* const> sessions) {
  std::vector<SessionCore*> cores;
  cores.reserve(sessions.size());
  for (Session* session : sessions) cores.push_back(session->core_.get());
  return core_->step(cores);
}

std::int64_t Engine::session_bytes() const {
  return core_->session_bytes();
}

void Engine::load_adapter(const std::string& path) {
  core_->load_adapter(path);
}

std::vector<std::string> Engine::target_languages(const std::string& adapter) const {
  return core_->target_languages(adapter);
}

// ---- Session
// ----------------------------------------------------------------------------------------------------

Session::Session(std::unique_ptr<SessionCore> core) : core_(std::move(core)) {}
Session::Session(Session&&) noexcept = default;
Session& Session::operator=(Session&&) noexcept = default;
Session::~Session() = default;

Push Session::push_text(std::string_view text) {
  return core_->push_text(text);
}
Push Session::push_word(std::string_view word, Last last) {
  return core_->push_word(word, last);
}
void Session::end_sentence() {
  core_->end_sentence();
}
void Session::finish() {
  core_->finish();
}
Progress Session::step() {
  return core_->step();
}
std::vector<Event> Session::poll() {
  return core_->poll();
}
void Session::cancel() {
  core_->cancel();
}
void Session::reset() {
  core_->reset();
}
const Counters& Session::counters() const {
  return core_->counters();
}
std::int64_t Session::memory_bytes() const {
  return core_->memory_bytes();
}

}  // namespace tandem
