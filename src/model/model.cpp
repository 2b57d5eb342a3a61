#include "model/model.h"

#include <algorithm>
#include <map>

#include "model/adapter.h"
#include "model/backend.h"
#include "model/family.h"
#include "model/ggml_network.h"
#include "model/gguf_file.h"
#include "model/head.h"
#include "model/lora_file.h"
#include "model/weight_types.h"
#include "model/weights.h"
#include "model/wide_copies.h"
#include "tandem/error.h"

namespace tandem {

struct Model::Impl {
  ModelConfig config;
  std::shared_ptr<const GgufFile> file;
  std::shared_ptr<const Vocabulary> vocabulary;
  std::optional<StreamMetadata> metadata;
  std::string weight_type;
  std::size_t weight_bytes = 0;
  std::unique_ptr<const Family> family;
  WeightBuffers weights;
  std::map<std::string, ggml_tensor*> matrices;  // of the layers
  HeadSource head_source;
  std::shared_ptr<const Head> head;
};

namespace {

std::string most_common_type(std::span<const StoredTensor> tensors) {
  std::map<int, std::size_t> bytes;
  for (const StoredTensor& tensor : tensors) bytes[tensor.type] += tensor.data.size();
  const auto most = std::max_element(bytes.begin(), bytes.end(),
                                     [](const auto& a, const auto& b) { return a.second < b.second; });
  return most == bytes.end() ? "none" : type_name(most->first);
}

}  // namespace

std::shared_ptr<const Model> Model::load(const std::string& path, const ModelOptions& options) {
  auto impl = std::make_unique<Impl>();
  impl->file = GgufFile::open(path);
  if (is_adapter(*impl->file)) impl->file->fail("expected a model, got an adapter: it goes beside its base");
  impl->config = read_config(*impl->file);
  impl->metadata = read_stream_metadata(*impl->file, impl->config.n_vocab);
  ggml_backend_dev_t device = find_device(options.device);
  WeightLoader loader(impl->file, device, options.layout);
  impl->family = make_family(impl->config, loader);
  impl->weights = loader.finish();
  impl->matrices = loader.matrices();
  for (const StoredTensor& tensor : impl->file->tensors()) impl->weight_bytes += tensor.data.size();
  impl->weight_type = most_common_type(impl->file->tensors());
  impl->vocabulary = Vocabulary::load(path, read_tokenizer_tables(*impl->file));
  if (impl->vocabulary->size() != impl->config.n_vocab)
    impl->file->fail("the vocabulary's size changed while loading");
  if (impl->metadata) check_prompt(impl->metadata->prompt, *impl->vocabulary, path);
  if (impl->metadata) require_kept_end(*impl->file, *impl->metadata, *impl->vocabulary);
  impl->head_source = {.file = impl->file,
                       .device = device,
                       .layout = options.layout,
                       .name = impl->family->head_name(),
                       .n_embd = impl->config.n_embd,
                       .n_vocab = impl->config.n_vocab};
  impl->head =
      load_head(impl->head_source, impl->metadata ? impl->metadata->kept_ids : std::vector<TokenId>());
  return std::shared_ptr<const Model>(new Model(std::move(impl)));
}

Model::Model(std::unique_ptr<const Impl> impl) : impl_(std::move(impl)) {}
Model::~Model() = default;

const ModelConfig& Model::config() const {
  return impl_->config;
}
const std::shared_ptr<const Vocabulary>& Model::vocabulary() const {
  return impl_->vocabulary;
}
const std::optional<StreamMetadata>& Model::metadata() const {
  return impl_->metadata;
}
const std::string& Model::path() const {
  return impl_->file->path();
}
const std::string& Model::weight_type() const {
  return impl_->weight_type;
}
std::size_t Model::weight_bytes() const {
  return impl_->weight_bytes;
}

const std::shared_ptr<const Head>& Model::head() const {
  return impl_->head;
}

std::shared_ptr<const Adapter> Model::load_adapter(const std::string& path) const {
  return Adapter::load({.head_source = impl_->head_source,
                        .head = impl_->head,
                        .matrices = &impl_->matrices,
                        .vocabulary = impl_->vocabulary.get()},
                       path);
}

bool Model::has_wide_products() const {
  return ggml_backend_dev_type(impl_->head_source.device) == GGML_BACKEND_DEVICE_TYPE_CPU &&
         has_block_products();
}

WideSource Model::wide_source(const Adapter* adapter) const {
  return {.file = *impl_->file,
          .matrices = impl_->matrices,
          .head_name = impl_->head_source.name,
          .head = adapter == nullptr ? *impl_->head : *adapter->head(),
          .adapter = adapter};
}

std::unique_ptr<const WideCopies> Model::make_wide_copies(const Adapter* adapter,
                                                          const WideMatrix::ShareOut& share_out) const {
  if (!has_wide_products()) return nullptr;
  auto copies = std::make_unique<const WideCopies>(wide_source(adapter), share_out);
  return copies->empty() ? nullptr : std::move(copies);
}

std::size_t Model::wide_copy_bytes(const Adapter* adapter) const {
  return has_wide_products() ? tandem::wide_copy_bytes(wide_source(adapter)) : 0;
}

std::unique_ptr<Network> Model::make_network(const NetworkOptions& options) const {
  return std::make_unique<GgmlNetwork>(shared_from_this(), *impl_->family, impl_->head_source.device,
                                       options);
}

}  // namespace tandem
