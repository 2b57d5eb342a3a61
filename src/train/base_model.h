// A stock model as training takes it in: any family's GGUF, checked as the engine checks it, its weights as
// plain numbers.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <optional>
#include <span>
#include <string>

#include "model/config.h"
#include "model/gguf_file.h"
#include "stream/types.h"
#include "text/vocabulary.h"

namespace tandem {

/// A stored tensor as f32, [n_out, n_in] or [n]. Cost: one copy, dequantised.
at::Tensor tensor_of(const StoredTensor& stored);

class BaseModel {
 public:
  /// Throws as Model::load: a file that the engine would not run is not trained either.
  explicit BaseModel(const std::string& path);

  const ModelConfig& config() const { return config_; }
  const GgufFile& file() const { return *file_; }
  const std::shared_ptr<const Vocabulary>& vocabulary() const { return vocabulary_; }

  bool has(const std::string& name) const { return file_->find_tensor(name) != nullptr; }
  /// Undefined if the file has no such tensor.
  at::Tensor find(const std::string& name) const;
  /// Rows `ids` of a matrix: [ids, n_in] f32.
  at::Tensor rows(const std::string& name, std::span<const std::int32_t> ids) const;
  /// The matrix that turns a row into logits: its own, or the embeddings.
  const char* head() const { return has("output.weight") ? "output.weight" : "token_embd.weight"; }

 private:
  std::shared_ptr<const GgufFile> file_;
  ModelConfig config_;
  std::shared_ptr<const Vocabulary> vocabulary_;
};

}  // namespace tandem
