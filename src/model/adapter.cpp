#include "model/adapter.h"

#include <algorithm>

#include "model/gguf_file.h"
#include "model/weights.h"
#include "tandem/error.h"

namespace tandem {

namespace {

std::shared_ptr<const Head> choose_head(const AdapterBase& base,
                                        const std::optional<StreamMetadata>& metadata) {
  const bool is_models = !metadata || metadata->kept_ids == base.head->ids;
  return is_models ? base.head : load_head(base.head_source, metadata->kept_ids);
}

/// The half that makes the outputs: for the head, only those that it has.
ggml_tensor* load_b(WeightLoader& loader, const LoraPair& pair, const std::vector<TokenId>& ids) {
  const int n_out = static_cast<int>(pair.b->shape[1]);
  return ids.empty() ? loader.matrix(pair.b->name, pair.rank(), n_out)
                     : loader.rows(pair.b->name, pair.rank(), n_out, ids);
}

}  // namespace

std::shared_ptr<const Adapter> Adapter::load(const AdapterBase& base, const std::string& path) {
  const auto file = GgufFile::open(path);
  const LoraFile lora = read_lora(*file);
  check_fits(lora, *file, *base.head_source.file);
  std::shared_ptr<Adapter> adapter(new Adapter);
  adapter->path_ = path;
  adapter->metadata_ = read_stream_metadata(*file, base.head_source.n_vocab);
  if (adapter->metadata_) check_prompt(adapter->metadata_->prompt, *base.vocabulary, path);
  if (adapter->metadata_) require_kept_end(*file, *adapter->metadata_, *base.vocabulary);
  adapter->head_ = choose_head(base, adapter->metadata_);
  // Too small to be worth another layout; libllama leaves them as they are, too.
  WeightLoader loader(file, base.head_source.device, WeightLayout::kAsStored);
  for (const LoraPair& pair : lora.pairs) {
    const bool is_head = pair.target == base.head_source.name;
    const auto matrix = base.matrices->find(pair.target);
    TANDEM_CHECK(is_head || matrix != base.matrices->end());
    ggml_tensor* a = loader.matrix(pair.a->name, static_cast<int>(pair.a->shape[0]), pair.rank());
    ggml_tensor* b = load_b(loader, pair, is_head ? adapter->head_->ids : std::vector<TokenId>());
    adapter->changes_[is_head ? adapter->head_->matrix : matrix->second] = {a, b, pair.scale};
  }
  adapter->weights_ = std::make_shared<WeightBuffers>(loader.finish());
  adapter->lora_ = lora;
  return adapter;
}

const LoraPair* Adapter::find_pair(std::string_view matrix) const {
  const auto pair = std::find_if(lora_.pairs.begin(), lora_.pairs.end(),
                                 [&](const LoraPair& one) { return one.target == matrix; });
  return pair == lora_.pairs.end() ? nullptr : &*pair;
}

const Adapter::Change* Adapter::find(const ggml_tensor* matrix) const {
  const auto change = changes_.find(matrix);
  return change == changes_.end() ? nullptr : &change->second;
}

}  // namespace tandem
