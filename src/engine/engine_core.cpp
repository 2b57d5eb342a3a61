#include "engine/engine_core.h"

#include <fmt/format.h>

#include <algorithm>
#include <thread>

#include "model/cache_type.h"
#include "text/chat_format.h"

namespace tandem {

namespace {

CacheType cache_type_of(CachePrecision precision) {
  switch (precision) {
    case CachePrecision::kFloat16:
      return CacheType::kF16;
    case CachePrecision::kFloat32:
      return CacheType::kF32;
    case CachePrecision::kQ8:
      return CacheType::kQ8;
    case CachePrecision::kQ4:
      return CacheType::kQ4;
  }
  throw Error(ErrorCode::kInvalidArgument, "engine: cache: expected a CachePrecision");
}

}  // namespace

EngineCore::EngineCore(std::shared_ptr<const Model> model, const EngineOptions& options)
    : model_(std::move(model)), options_(options) {
  NetworkOptions network;
  const int n_cores = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  network.n_threads = options.n_threads > 0 ? options.n_threads : n_cores;
  network.n_slots = options.session_slots * options.max_sessions;
  network.cache_type = cache_type_of(options.cache);
  network_ = model_->make_network(network);
  const int n_rows = network_->max_rows_per_pass();  // reading ahead may fill a pass: its price is not asked
  shared_pass_ = std::make_unique<SharedPass>(
      *network_, PassBudget{.rows = n_rows, .source_rows = options.shared_source_rows, .cheap_rows = n_rows});
  if (!options.pass_costs.empty()) set_costs(options.pass_costs);
}

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

void EngineCore::load_adapter(const std::string& path) {
  auto adapter = model_->load_adapter(path);
  widen(adapter);  // now, when nobody waits, and not when its first session opens beside others
  adapters_[path] = std::move(adapter);
}

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
                                  const std::optional<StreamMetadata>& metadata,
                                  const std::shared_ptr<const Head>& head) {
  TargetParts target;
  target.prompt = tokens_of(prompt_of(options, language, metadata), language, *head);
  target.policy = std::make_unique<WaitKPolicy>(lag_of(options.k));
  target.sampler = sampler_for(head, target.prompt.end);
  target.unit = word_unit_of(language);
  return target;
}

/// The same for all sessions that choose alike: its tables are as long as the vocabulary.
std::shared_ptr<const Sampler> EngineCore::sampler_for(const std::shared_ptr<const Head>& head,
                                                       const std::vector<TokenId>& end) {
  std::erase_if(samplers_, [](const KnownSampler& known) { return known.sampler.expired(); });
  for (const KnownSampler& known : samplers_) {
    auto sampler = known.sampler.lock();
    if (sampler && known.head.lock() == head && known.end == end) return sampler;
  }
  auto sampler = std::make_shared<const Sampler>(model_->vocabulary()->pieces(), end, head->ids);
  samplers_.push_back({head, end, sampler});
  return sampler;
}

std::unique_ptr<SessionCore> EngineCore::open(const SessionOptions& options) {
  check_languages(options.target_languages);
  const Vocabulary& vocabulary = *model_->vocabulary();
  SessionParts parts;
  parts.adapter = find_adapter(options.adapter);
  const auto& metadata = metadata_of(parts.adapter.get());
  const std::shared_ptr<const Head>& head = parts.adapter ? parts.adapter->head() : model_->head();
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
  widen(parts.adapter);
  if (options.fork == Fork::kByCost) know_costs(parts.adapter);
  parts.forks_pay_alone = !costs_ || costs_->forks_pay(1);
  parts.network = network_.get();
  parts.span = reserve(parts.targets);
  parts.span_bytes = session_bytes();
  return std::make_unique<SessionCore>(std::move(parts));
}

/// That passes are timed with.
int EngineCore::most_rows() const {
  constexpr int kRowsPerSession = 4;  // of a fork with its source
  constexpr int kMostRows = 64;       // beyond, every row costs the same
  return std::min({kMostRows, kRowsPerSession * options_.max_sessions, options_.session_slots});
}

/// Makes the copies for the adapter's rows, if there are none yet; the first of all measure whether to keep
/// any.
void EngineCore::widen(const std::shared_ptr<const Adapter>& adapter) {
  if (options_.wide == Wide::kNever || wide_rows_ == 0) return;
  if (!network_->widen(adapter) || wide_rows_) return;
  wide_rows_ = options_.wide == Wide::kAlways ? 1 : find_wide_rows(*network_, adapter, most_rows());
  network_->set_wide_rows(*wide_rows_);
  if (wide_rows_ == 0) network_->narrow();
}

/// Measures them with the first session that asks. Where the cache has no room to, nothing is known.
void EngineCore::know_costs(const std::shared_ptr<const Adapter>& adapter) {
  if (costs_) return;
  auto points = measure_pass_costs(*network_, adapter, most_rows());
  if (!points.empty()) set_costs(std::move(points));
}

void EngineCore::set_costs(std::vector<PassCost> points) {
  costs_.emplace(std::move(points));
  shared_pass_->set_costs(*costs_);
}

std::span<const Progress> EngineCore::step(std::span<Session* const> sessions) {
  stepped_.clear();
  for (Session* session : sessions) stepped_.push_back(session->core_.get());
  shared_pass_->step(stepped_, progress_);
  return progress_;
}

}  // namespace tandem
