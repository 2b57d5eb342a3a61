// What the engine makes of a model, an adapter and a language, for contestants that do without the engine:
// the tokens around source and target, where the target group starts, and whose weights they are.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "model/adapter.h"
#include "model/model.h"
#include "stream/wait_k.h"
#include "text/prompt.h"

namespace tandem::bench {

using Words = std::vector<std::string>;

struct StreamSetup {
  std::shared_ptr<const Model> model;
  std::shared_ptr<const Adapter> adapter;  // null: the model as it is
  Prompt prompt;
  Position target_start;  // phi
  EndMarker end_marker = EndMarker::kWithLastWord;
  int no_repeat_ngram = 0;

  const Head& head() const { return adapter ? *adapter->head() : *model->head(); }
};

/// `adapter` may be empty. A model without `tandem.*` keys is spoken to in its chat format. Throws Error as
/// Engine::open, and for a language without spaces, whose words the reference loop knows nothing of.
StreamSetup make_stream_setup(const std::string& model, const std::string& adapter,
                              const std::string& language);

/// Each word's tokens, as the engine reads them.
std::vector<std::vector<TokenId>> tokenize_words(const StreamSetup& setup, const Words& words);

}  // namespace tandem::bench
