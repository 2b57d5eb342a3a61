// `tandem inspect`: what a model file is, before anybody runs it. Whatever can be read is shown, then whether
// it can run here: a file that cannot is an error after its description.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <boost/json.hpp>
#include <limits>
#include <map>
#include <memory>

#include "cli/commands.h"
#include "cli/options.h"
#include "cli/output.h"
#include "model/adapter.h"
#include "model/cache_type.h"
#include "model/gguf_file.h"
#include "model/lora_file.h"
#include "model/model.h"
#include "model/weight_types.h"
#include "text/chat_format.h"

namespace tandem {
namespace {

namespace json = boost::json;

struct InspectArguments {
  std::string model;
  std::string adapter;
  int n_threads = 1;
  int slots = EngineOptions{}.session_slots;
  bool is_json = false;
};

json::array to_array(const std::vector<std::string>& texts) {
  json::array out;
  for (const std::string& text : texts) out.emplace_back(text);
  return out;
}

json::object describe_tensors(const GgufFile& file) {
  struct Sum {
    std::int64_t n_tensors = 0, n_parameters = 0, n_bytes = 0;
  };
  std::map<std::string, Sum> by_type;
  Sum all;
  for (const StoredTensor& tensor : file.tensors()) {
    std::int64_t n_parameters = 1;
    for (std::int64_t extent : tensor.shape) n_parameters *= extent;
    for (Sum* sum : {&by_type[type_name(tensor.type)], &all}) {
      sum->n_tensors += 1;
      sum->n_parameters += n_parameters;
      sum->n_bytes += static_cast<std::int64_t>(tensor.data.size());
    }
  }
  json::object types;
  for (const auto& [type, sum] : by_type) {
    types[type] = {{"tensors", sum.n_tensors}, {"parameters", sum.n_parameters}, {"bytes", sum.n_bytes}};
  }
  return {{"parameters", all.n_parameters},
          {"tensors", all.n_tensors},
          {"weight_bytes", all.n_bytes},
          {"types", types}};
}

json::object describe_network(const ModelConfig& config) {
  return {{"layers", config.n_layers},    {"width", config.n_embd},        {"ff_width", config.n_ff},
          {"heads", config.n_heads},      {"kv_heads", config.n_kv_heads}, {"head_dim", config.head_dim},
          {"vocabulary", config.n_vocab}, {"context", config.n_context},   {"rope_base", config.rope.base},
          {"window", config.window}};
}

json::object describe_stream(const StreamMetadata& stream) {
  json::array ks;
  for (WaitK k : stream.wait_k) ks.push_back(k.is_unlimited() ? json::value("inf") : json::value(k.value()));
  json::object targets;
  for (const auto& [language, prefix] : stream.prompt.target_prefix) targets[language] = prefix;
  static constexpr std::string_view kEndMarkers[] = {"any", "with_last_word", "own_unit"};
  const std::string_view end_marker = kEndMarkers[static_cast<std::size_t>(stream.end_marker)];
  return {{"source_languages", to_array(stream.source_languages)},
          {"policy", "wait-k"},
          {"k", ks},
          {"phi", stream.target_start.value()},
          {"end_marker", json::string(end_marker.data(), end_marker.size())},
          {"source_prefix", stream.prompt.source_prefix},
          {"source_suffix", stream.prompt.source_suffix},
          {"target_prefix", targets},
          {"end", stream.prompt.end},
          {"no_repeat_ngram", stream.no_repeat_ngram},
          {"kept_ids", static_cast<std::int64_t>(stream.kept_ids.size())},
          {"training", stream.training_summary},
          {"data_licences", to_array(stream.data_licences)}};
}

/// What stands around the texts of a stock model, with German for an example.
json::object describe_chat(const ChatFormat& format, const Vocabulary& vocabulary) {
  const PromptTemplate prompt = make_chat_prompt(format, "de", vocabulary);
  return {{"format", json::string(format.name.data(), format.name.size())},
          {"source_prefix", prompt.source_prefix},
          {"target_prefix", {{"de", prompt.target_prefix.front().second}}},
          {"end", prompt.end}};
}

json::object describe_lora(const LoraFile& lora) {
  // "blk.3.attn_q.weight" counts for "attn_q.weight": layers are alike.
  std::map<std::string, int> n_targets;
  std::map<int, int> n_ranks;
  for (const LoraPair& pair : lora.pairs) {
    const std::size_t part = pair.target.starts_with("blk.") ? pair.target.find('.', 4) + 1 : 0;
    ++n_targets[pair.target.substr(part)];
    ++n_ranks[pair.rank()];
  }
  json::object targets;
  for (const auto& [target, n] : n_targets) targets[target] = n;
  json::array ranks;
  for (const auto& [rank, n] : n_ranks) ranks.emplace_back(rank);
  return {{"architecture", lora.architecture}, {"alpha", lora.alpha}, {"rank", ranks}, {"targets", targets}};
}

json::object describe_file(const GgufFile& file) {
  return {{"file", file.path()},
          {"file_bytes", static_cast<std::int64_t>(file.mapping().size())},
          {"architecture", file.find_text("general.architecture").value_or("")},
          {"name", file.find_text("general.name").value_or("")},
          {"weights", describe_tensors(file)}};
}

/// Adds what an adapter says; whether it fits a base is seen beside that base.
void describe_adapter(const GgufFile& file, json::object& about) {
  about["lora"] = describe_lora(read_lora(file));
  constexpr int kAnyVocabulary = std::numeric_limits<int>::max();
  if (const auto stream = read_stream_metadata(file, kAnyVocabulary))
    about["stream"] = describe_stream(*stream);
}

/// The span of the cache that a session takes when it is opened, by the type that is chosen.
json::object describe_cache(const ModelConfig& config, int n_slots) {
  json::object about;
  for (const CacheType type : kCacheTypes) {
    if (!fits_cache(config, type)) continue;
    const auto slot_bytes = static_cast<std::int64_t>(cache_bytes_per_slot(config, type));
    about[type_name(element_of(type))] = {{"slot_bytes", slot_bytes}, {"span_bytes", slot_bytes * n_slots}};
  }
  return about;
}

/// Of an open session, with the default cache: its span, and what else it holds.
std::int64_t session_bytes(const InspectArguments& arguments) {
  // Copies and forks by cost would have passes timed, which looking at a file is no reason for.
  Engine engine =
      Engine::load(arguments.model, {.n_threads = 1, .session_slots = arguments.slots, .wide = Wide::kNever});
  if (!arguments.adapter.empty()) engine.load_adapter(arguments.adapter);
  const std::string language = engine.target_languages(arguments.adapter).front();
  return engine.open({.target_languages = {language}, .adapter = arguments.adapter, .fork = Fork::kNever})
      .memory_bytes();
}

std::string to_text(const json::value& value) {
  if (value.is_string()) {
    const std::string text(value.as_string().begin(), value.as_string().end());
    // A template's line ends must not look like lines of this table.
    return text.find('\n') == std::string::npos ? text : json::serialize(value);
  }
  if (value.is_double()) return fmt::format("{}", value.as_double());
  if (!value.is_array()) return json::serialize(value);
  std::string out;
  for (const json::value& element : value.as_array())
    out.append(out.empty() ? "" : ", ").append(to_text(element));
  return out;
}

/// Nested objects as "outer.inner", one line each.
void list(Output& output, const json::object& object, const std::string& prefix) {
  for (const auto& entry : object) {
    const std::string name = prefix + std::string(entry.key());
    if (entry.value().is_object())
      list(output, entry.value().as_object(), name + ".");
    else
      output.write(fmt::format("{:<30} {}\n", name, to_text(entry.value())));
  }
}

/// Adds what can only be said of files that run.
void describe_running(const InspectArguments& arguments, json::object& about) {
  const auto model = Model::load(arguments.model);
  about["network"] = describe_network(model->config());
  about["session_slots"] = arguments.slots;
  about["cache"] = describe_cache(model->config(), arguments.slots);
  std::optional<StreamMetadata> stream = model->metadata();
  std::shared_ptr<const Adapter> adapter;
  if (!arguments.adapter.empty()) {
    adapter = model->load_adapter(arguments.adapter);
    if (adapter->metadata()) stream = adapter->metadata();
  }
  about["copies_bytes"] = static_cast<std::int64_t>(model->wide_copy_bytes(adapter.get()));
  if (!stream) {
    if (const auto chat = find_chat_format(*model->vocabulary()))
      about["chat"] = describe_chat(*chat, *model->vocabulary());
    return;
  }
  about["stream"] = describe_stream(*stream);
  about["session_bytes"] = session_bytes(arguments);
}

ExitStatus run_inspect(const InspectArguments& arguments) {
  const auto file = GgufFile::open(arguments.model);
  json::object about = describe_file(*file);
  std::optional<Error> failure;
  try {
    if (!arguments.adapter.empty()) {
      const auto adapter = GgufFile::open(arguments.adapter);
      json::object beside = describe_file(*adapter);
      beside["lora"] = describe_lora(read_lora(*adapter));
      about["adapter"] = beside;
    }
    if (is_adapter(*file))
      describe_adapter(*file, about);
    else
      describe_running(arguments, about);
  } catch (const Error& error) {
    failure = error;
  }
  if (!is_adapter(*file)) about["runs"] = !failure.has_value();
  Output output;
  if (arguments.is_json)
    output.write(json::serialize(about) + "\n");
  else
    list(output, about, "");
  output.flush();
  if (failure) throw Error(*failure);
  return kDone;
}

}  // namespace

Command add_inspect(CLI::App& program) {
  auto arguments = std::make_shared<InspectArguments>();
  CLI::App* app = program.add_subcommand("inspect", "Say what a model file is and how it was trained");
  app->add_option("model", arguments->model, "The model or adapter, a GGUF file")
      ->required()
      ->type_name("FILE");
  add_adapter_option(*app, arguments->adapter);
  app->add_option("--slots", arguments->slots, "Tokens per sentence for which a session's memory is given")
      ->check(CLI::Range(64, 1 << 20))
      ->type_name("N")
      ->capture_default_str();
  app->add_flag("--json", arguments->is_json, "One JSON object");
  add_threads_option(*app, arguments->n_threads);
  return {app, [arguments] { return run_inspect(*arguments); }};
}

}  // namespace tandem
