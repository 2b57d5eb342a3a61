// A model family: which tensors it has, and how a pass flows through them.
#pragma once

#include <memory>
#include <string>

#include "model/config.h"
#include "model/weights.h"

namespace tandem {

class PassGraph;

class Family {
 public:
  Family() = default;
  Family(const Family&) = delete;
  Family& operator=(const Family&) = delete;
  virtual ~Family() = default;

  virtual const ModelConfig& config() const = 0;
  /// Rows of the vocabulary, ne = [n_embd, n_vocab].
  virtual const RowTable& token_embeddings() const = 0;
  /// The tensor that makes logits of rows, ne = [n_embd, n_vocab].
  virtual const std::string& head_name() const = 0;
  /// Adds the pass to the graph, and its logits, head by head, if any row wants them.
  virtual void build(PassGraph& pass) const = 0;
};

/// The configuration of whatever family the file is of. Throws Error{kUnsupported} naming the families that
/// there are, and what the family's reader throws (config_reader.h).
ModelConfig read_config(const GgufFile& file);
/// The family of a configuration that read_config returned, its tensors asked for but not yet placed
/// (WeightLoader::finish). Throws as the loader does.
std::unique_ptr<const Family> make_family(const ModelConfig& config, WeightLoader& loader);
/// "gemma2, gemma3, ...": for messages.
std::string list_families();

}  // namespace tandem
