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
    const int n_rows = network_->max_rows_per_pass();
    shared_pass_ = std::make_unique<SharedPass>(
        *network_,
        PassBudget{.rows = n_rows, .source_rows = options.shared_source_rows, .cheap_rows = n_rows});
  }

  void load_adapter(const std::string& path) { adapters_[path] = model_->load_adapter(path); }
  std::unique_ptr<SessionCore> open(const SessionOptions& options);
  std::span<const Progress> step(std::span<Session* const> sessions);
  std::int64_t n_shared_passes() const { return shared_pass_->n_passes(); }
  std::vector<std::string> target_languages(const std::string& adapter) const;
  std::int64_t session_bytes() const;

 private:
  std::shared_ptr<const Adapter> find_adapter(const std::string& path) const;
  const std::optional<StreamMetadata>& metadata_of(const Adapter* adapter) const;
  PromptTemplate prompt_of(const SessionOptions& options, const std::string& language,
                           const std::optional<StreamMetadata>& metadata) const;
  TargetParts target_of(const SessionOptions& options, const std::string& language,
                        const std::optional<StreamMetadata>& metadata, const Head& head) const;
  Prompt tokens_of(const PromptTemplate& prompt, const std::string& language, const Head& head) const;
  CacheSpan reserve(std::span<const TargetParts> targets);

  std::shared_ptr<const Model> model_;
  EngineOptions options_;
  std::unique_ptr<Network> network_;
  std::unique_ptr<SharedPass> shared_pass_;
  std::map<std::string, std::shared_ptr<const Adapter>> adapters_;  // by path

  // Of step(); kept for their memory.
  std::vector<SessionCore*> stepped_;
  std::vector<Progress> progress_;
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

void check_languages(const std::vector<std::string>& languages) {
  if (languages.empty())
    throw Error(ErrorCode::kInvalidArgument, "session: target_languages: expected at least one, got none");
  for (auto language = languages.begin(); language != languages.end(); ++language) {
    if (std::find(languages.begin(), language, *language) == language) continue;
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("session: target_languages: expected each once, got '{}' twice", *language));
  }
}

/// A chat format may tell the source which language is wanted: then it cannot be shared.
void check_one_source(std::span<const TargetParts> targets) {
  const Prompt& first = targets.front().prompt;
  for (const TargetParts& target : targets) {
    if (target.prompt.source_prefix == first.source_prefix &&
        target.prompt.source_suffix == first.source_suffix)
      continue;
    throw Error(
        ErrorCode::kUnsupported,
        "session: expected a prompt whose source side is the same for all target languages, got different "
        "ones: open a session for each");
  }
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

PromptTemplate EngineCore::prompt_of(const SessionOptions& options, const std::string& language,
                                     const std::optional<StreamMetadata>& metadata) const {
  if (options.prompt) {
    const PromptText& text = *options.prompt;
    return {.source_prefix = text.source_prefix,
            .source_suffix = text.source_suffix,
            .target_prefix = {{language, text.target_prefix}},
            .end = text.end};
  }
  if (metadata) return metadata->prompt;
  const Vocabulary& vocabulary = *model_->vocabulary();
  if (const auto format = find_chat_format(vocabulary))
    return make_chat_prompt(*format, language, vocabulary);
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

CacheSpan EngineCore::reserve(std::span<const TargetParts> targets) {
  const Prompt& first = targets.front().prompt;
  std::size_t n_rows = first.source_prefix.size() + first.source_suffix.size();
  for (const TargetParts& target : targets) n_rows += target.prompt.target_prefix.size() + kMostQuestionRows;
  const int n_most = std::min(options_.session_slots, network_->max_rows_per_pass());
  if (n_rows > static_cast<std::size_t>(n_most)) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("session: expected room for prompts that need {} rows, got {}", n_rows, n_most));
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

TargetParts EngineCore::target_of(const SessionOptions& options, const std::string& language,
                                  const std::optional<StreamMetadata>& metadata, const Head& head) const {
  TargetParts target;
  target.prompt = tokens_of(prompt_of(options, language, metadata), language, head);
  target.policy = std::make_unique<WaitKPolicy>(lag_of(options.k));
  target.sampler = std::make_unique<Sampler>(model_->vocabulary()->pieces(), target.prompt.end, head.ids);
  target.unit = word_unit_of(language);
  return target;
}

std::unique_ptr<SessionCore> EngineCore::open(const SessionOptions& options) {
  check_languages(options.target_languages);
  const Vocabulary& vocabulary = *model_->vocabulary();
  SessionParts parts;
  parts.adapter = find_adapter(options.adapter);
  const auto& metadata = metadata_of(parts.adapter.get());
  const Head& head = parts.adapter ? *parts.adapter->head() : *model_->head();
  for (const std::string& language : options.target_languages)
    parts.targets.push_back(target_of(options, language, metadata, head));
  check_one_source(parts.targets);
  parts.tokenize_word = [&vocabulary](std::string_view word, bool is_first) {
    return vocabulary.tokenize_word(word, is_first);
  };
  if (metadata) {
    parts.target_start = metadata->target_start;
    parts.source_unit = word_unit_of(metadata->source_languages.front());
  }
  parts.setup = {.pieces = vocabulary.pieces(),
                 .bytes = vocabulary.byte_table(),
                 .end_marker = end_marker_of(options, metadata),
                 .fuse = options.fuse,
                 .fork = options.fork,
                 .read_ahead = options.read_ahead,
                 .target_rows_base = options.target_rows_base,
                 .target_rows_per_source_row = options.target_rows_per_source_row,
                 .no_repeat_ngram = no_repeat_ngram_of(options, metadata)};
  parts.network = network_.get();
  parts.span = reserve(parts.targets);
  parts.span_bytes = session_bytes();
  return std::make_unique<SessionCore>(std::move(parts));
}

std::span<const Progress> EngineCore::step(std::span<Session* const> sessions) {
  stepped_.clear();
  for (Session* session : sessions) stepped_.push_back(session->core_.get());
  shared_pass_->step(stepped_, progress_);
  return progress_;
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

std::span<const Progress> Engine::step(std::span<Session* const> sessions) {
  return core_->step(sessions);
}

std::int64_t Engine::n_shared_passes() const {
  return core_->n_shared_passes();
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
