// `tandem inspect`: what a model file is, before anybody runs it. Whatever can be read is shown, then whether
// it can run here: a file that cannot is an error after its description.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <boost/json.hpp>
#include <map>
#include <memory>

#include "cli/commands.h"
#include "cli/options.h"
#include "cli/output.h"
#include "model/gguf_file.h"
#include "model/model.h"
#include "model/weight_types.h"

namespace tandem {
namespace {

namespace json = boost::json;

struct InspectArguments {
  std::string model;
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
          {"kept_ids", static_cast<std::int64_t>(stream.kept_ids.size())},
          {"training", stream.training_summary},
          {"data_licences", to_array(stream.data_licences)}};
}

std::int64_t session_bytes(const InspectArguments& arguments) {
  Engine engine = Engine::load(arguments.model, {.n_threads = 1, .session_slots = arguments.slots});
  return engine.open({.target_language = engine.target_languages().front()}).memory_bytes();
}

std::string to_text(const json::value& value) {
  if (value.is_string()) return {value.as_string().begin(), value.as_string().end()};
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

ExitStatus run_inspect(const InspectArguments& arguments) {
  json::object about;
  std::optional<Error> failure;
  {
    const auto file = GgufFile::open(arguments.model);
    about["file"] = arguments.model;
    about["file_bytes"] = static_cast<std::int64_t>(file->mapping().size());
    about["architecture"] = file->find_text("general.architecture").value_or("");
    about["name"] = file->find_text("general.name").value_or("");
    about["weights"] = describe_tensors(*file);
  }
  try {
    const auto model = Model::load(arguments.model);
    about["network"] = describe_network(model->config());
    if (model->metadata()) {
      about["stream"] = describe_stream(*model->metadata());
      about["session_slots"] = arguments.slots;
      about["session_bytes"] = session_bytes(arguments);
    }
  } catch (const Error& error) {
    failure = error;
  }
  about["runs"] = !failure.has_value();
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
  app->add_option("model", arguments->model, "The model, a GGUF file")->required()->type_name("FILE");
  app->add_option("--slots", arguments->slots, "Tokens per sentence for which a session's memory is given")
      ->check(CLI::Range(64, 1 << 20))
      ->type_name("N")
      ->capture_default_str();
  app->add_flag("--json", arguments->is_json, "One JSON object");
  add_threads_option(*app, arguments->n_threads);
  return {app, [arguments] { return run_inspect(*arguments); }};
}

}  // namespace tandem
