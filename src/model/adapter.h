// A low-rank adapter in memory, beside the base that it was trained on: what it adds to which matrices, the
// head of the ids that it writes, and how it wants to be streamed. Immutable and shared, like the model;
// sessions choose one, and rows of several may stand in one pass (pass_graph.h).
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "model/head.h"
#include "model/lora_file.h"
#include "model/stream_metadata.h"

namespace tandem {

/// What an adapter must fit, and takes what it needs from. The tensors are the model's.
struct AdapterBase {
  HeadSource head_source;
  std::shared_ptr<const Head> head;                     // the model's own
  const std::map<std::string, ggml_tensor*>* matrices;  // of the layers, by name
  const Vocabulary* vocabulary;
};

class Adapter {
 public:
  /// scale * B (A x) is added to a product with x.
  struct Change {
    ggml_tensor* a;  // ne = [n_in, rank]
    ggml_tensor* b;  // ne = [rank, n_out]
    float scale;
  };

  /// Throws as read_lora and check_fits, and as read_stream_metadata for its `tandem.*` keys.
  static std::shared_ptr<const Adapter> load(const AdapterBase& base, const std::string& path);

  /// Null for a matrix that it leaves alone.
  const Change* find(const ggml_tensor* matrix) const;
  /// As the file holds it, by the matrix' name; null for one that it leaves alone.
  const LoraPair* find_pair(std::string_view matrix) const;
  /// Its own if it has `tandem.*` keys, else the model's.
  const std::shared_ptr<const Head>& head() const { return head_; }
  /// Nothing for an adapter without `tandem.*` keys: then the base's hold.
  const std::optional<StreamMetadata>& metadata() const { return metadata_; }
  const std::string& path() const { return path_; }

 private:
  Adapter() = default;

  std::string path_;
  std::optional<StreamMetadata> metadata_;
  std::shared_ptr<const Head> head_;
  std::shared_ptr<const WeightBuffers> weights_;  // and the file
  LoraFile lora_;
  std::map<const ggml_tensor*, Change> changes_;
};

}  // namespace tandem
