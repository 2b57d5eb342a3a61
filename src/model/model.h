// A loaded model: configuration, vocabulary, streaming metadata and weights, immutable and shared. What
// changes while text streams (cache, compute buffers) belongs to the networks that it makes.
//
//   auto model = Model::load("models/default.gguf");
//   auto network = model->make_network({.n_threads = 2, .n_slots = 4096});
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>

#include "model/config.h"
#include "model/model_options.h"
#include "model/network.h"
#include "model/stream_metadata.h"
#include "model/wide_matrix.h"
#include "text/vocabulary.h"

namespace tandem {

class Adapter;
class WideCopies;
struct Head;
struct WideSource;

class Model : public std::enable_shared_from_this<Model> {
 public:
  /// Loads and checks everything. Cost: the vocabulary; weights are mapped, and read by the first pass,
  /// except for those that are repacked. Throws Error with the file's name, what was expected and what was
  /// found.
  static std::shared_ptr<const Model> load(const std::string& path, const ModelOptions& options = {});
  ~Model();

  const ModelConfig& config() const;
  const std::shared_ptr<const Vocabulary>& vocabulary() const;
  /// Nothing for a stock GGUF file.
  const std::optional<StreamMetadata>& metadata() const;
  const std::string& path() const;
  /// Type that most weights have, by bytes ("q8_0"), and the bytes of all tensors.
  const std::string& weight_type() const;
  std::size_t weight_bytes() const;

  /// Where the logits of rows without an adapter come from: the ids that the file keeps, else all.
  const std::shared_ptr<const Head>& head() const;
  /// A LoRA adapter for this model, for any of its networks. Throws Error as Adapter::load.
  std::shared_ptr<const Adapter> load_adapter(const std::string& path) const;

  /// For a CPU with wide products (wide_matrix.h), else nothing, as for a model without quantised matrices.
  /// `adapter` is one of this model's, or null; the work is shared out as in Network::share_out.
  std::unique_ptr<const WideCopies> make_wide_copies(const Adapter* adapter,
                                                     const WideMatrix::ShareOut& share_out) const;

  /// What they take; 0 where there are none.
  std::size_t wide_copy_bytes(const Adapter* adapter) const;

  /// Throws Error{kInvalidArgument} for options out of range, Error{kUnsupported} if memory does not suffice.
  std::unique_ptr<Network> make_network(const NetworkOptions& options) const;

 private:
  struct Impl;
  explicit Model(std::unique_ptr<const Impl> impl);
  bool has_wide_products() const;
  WideSource wide_source(const Adapter* adapter) const;

  std::unique_ptr<const Impl> impl_;
};

}  // namespace tandem
