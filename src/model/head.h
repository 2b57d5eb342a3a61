// The output matrix, from which logits come: all of it, or only its rows for the ids that a model or an
// adapter was trained to write (`tandem.vocab.kept`), gathered at load as they are stored. A head of 262,000
// rows costs more than all layers of a small model.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "model/model_options.h"
#include "stream/types.h"

struct ggml_backend_device;
struct ggml_tensor;

namespace tandem {

class GgufFile;
class Vocabulary;
struct StreamMetadata;
struct WeightBuffers;

struct Head {
  std::shared_ptr<const WeightBuffers> weights;
  ggml_tensor* matrix = nullptr;  // ne = [n_embd, n_ids]
  std::vector<TokenId> ids;       // of the matrix' rows, ascending; empty: row i is id i
};

/// Where a head comes from.
struct HeadSource {
  std::shared_ptr<const GgufFile> file;
  ggml_backend_device* device = nullptr;
  WeightLayout layout = WeightLayout::kFastest;
  std::string name;  // of the output matrix
  int n_embd = 0;
  int n_vocab = 0;
};

/// `ids` ascending and below n_vocab, or empty for all. Throws as WeightLoader.
std::shared_ptr<const Head> load_head(const HeadSource& source, const std::vector<TokenId>& ids);

/// Throws Error{kBadFile} if the metadata keep some ids, but not the one that ends a target: no text would
/// end.
void require_kept_end(const GgufFile& file, const StreamMetadata& metadata, const Vocabulary& vocabulary);

}  // namespace tandem
