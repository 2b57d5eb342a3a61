// A model family: which tensors it has, and how a pass flows through them.
#pragma once

#include <memory>

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
  /// Most nodes that build() adds per layer, attention's own (pass_graph.h) not among them.
  virtual int n_nodes_per_layer() const = 0;
  /// Adds the pass to the graph, and its logits if any row wants them.
  virtual void build(PassGraph& pass) const = 0;
};

/// The family that the file's architecture names, its tensors asked for but not yet placed
/// (WeightLoader::finish). Throws Error{kUnsupported} naming the architectures that there are.
std::unique_ptr<const Family> make_family(const ModelConfig& config, WeightLoader& loader);
/// The configuration of whatever family the file is of. Throws as make_family and the family's own reader.
ModelConfig read_config(const GgufFile& file);

}  // namespace tandem
