#include "bench/stream_setup.h"

#include "tandem/error.h"
#include "text/chat_format.h"
#include "text/word_tracker.h"

namespace tandem::bench {

namespace {

PromptTemplate template_of(const std::optional<StreamMetadata>& metadata, const std::string& language,
                           const Model& model) {
  if (metadata) return metadata->prompt;
  const auto format = find_chat_format(*model.vocabulary());
  if (!format)
    throw Error(ErrorCode::kUnsupported, model.path() + ": expected tandem.* keys or a chat format");
  return make_chat_prompt(*format, language, *model.vocabulary());
}

}  // namespace

StreamSetup make_stream_setup(const std::string& model, const std::string& adapter,
                              const std::string& language) {
  if (word_unit_of(language) != WordUnit::kSpaced)
    throw Error(ErrorCode::kUnsupported, "--to: expected a language with spaces, got '" + language + "'");
  StreamSetup setup;
  setup.model = Model::load(model);
  if (!adapter.empty()) setup.adapter = setup.model->load_adapter(adapter);
  const auto& metadata =
      setup.adapter && setup.adapter->metadata() ? setup.adapter->metadata() : setup.model->metadata();
  setup.prompt =
      tokenize_prompt(template_of(metadata, language, *setup.model), language, *setup.model->vocabulary());
  if (metadata) {
    setup.target_start = metadata->target_start;
    setup.no_repeat_ngram = metadata->no_repeat_ngram;
    if (metadata->end_marker == TrainedEndMarker::kOwnUnit) setup.end_marker = EndMarker::kOwnUnit;
  }
  return setup;
}

std::vector<std::vector<TokenId>> tokenize_words(const StreamSetup& setup, const Words& words) {
  std::vector<std::vector<TokenId>> tokens;
  for (const std::string& word : words)
    tokens.push_back(setup.model->vocabulary()->tokenize_word(word, tokens.empty()));
  return tokens;
}

}  // namespace tandem::bench
