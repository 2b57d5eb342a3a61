// Folds a LoRA adapter into its base: W becomes W + scale * B A, and the file is a model like any other.
#pragma once

#include <functional>
#include <string>

#include "model/gguf_rewrite.h"

namespace tandem {

struct MergeTask {
  std::string base;
  std::string adapter;
  std::string output;                    // appears whole or not at all
  std::string type;                      // of all matrices; empty: each one's own
  std::function<void(double)> progress;  // from 0 to 1
};

/// The adapter's `tandem.*` keys, if it has any, take the place of the base's. Throws as Model::load and
/// Model::load_adapter, Error{kInvalidArgument} for a type that does not fit, Error{kIo}.
RewriteResult merge_adapter(const MergeTask& task);

}  // namespace tandem
