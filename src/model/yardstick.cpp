#include "model/yardstick.h"

#include <fmt/core.h>
#include <llama.h>

#include "model/cache_type.h"
#include "model/ggml_log.h"
#include "tandem/error.h"

namespace tandem {

namespace {

struct Deleter {
  void operator()(llama_model* model) const { llama_model_free(model); }
  void operator()(llama_context* context) const { llama_free(context); }
  void operator()(llama_adapter_lora* adapter) const { llama_adapter_lora_free(adapter); }
};

llama_context_params context_params(const YardstickOptions& options) {
  llama_context_params params = llama_context_default_params();
  const auto n_context = static_cast<std::uint32_t>(options.n_context);
  params.n_ctx = n_context;
  params.n_batch = n_context;
  params.n_ubatch = n_context;
  params.n_threads = options.n_threads;
  params.n_threads_batch = options.n_threads;
  const bool is_f32 = options.cache_type == CacheType::kF32;
  params.type_k = static_cast<ggml_type>(element_of(options.cache_type));
  params.type_v = params.type_k;
  // Its fused attention rounds an f32 cache to f16 first.
  params.flash_attn_type = is_f32 ? LLAMA_FLASH_ATTN_TYPE_DISABLED : LLAMA_FLASH_ATTN_TYPE_ENABLED;
  return params;
}

}  // namespace

struct Yardstick::Impl {
  std::unique_ptr<llama_model, Deleter> model;
  std::unique_ptr<llama_adapter_lora, Deleter> adapter;
  std::unique_ptr<llama_context, Deleter> context;

  void set_adapter(const std::string& path) {
    adapter.reset(llama_adapter_lora_init(model.get(), path.c_str()));
    llama_adapter_lora* one = adapter.get();
    float scale = 1;
    if (one == nullptr || llama_set_adapters_lora(context.get(), &one, 1, &scale) != 0)
      throw Error(ErrorCode::kUnsupported, path + ": libllama does not take this adapter");
  }

  void decode(llama_batch batch) {
    if (const int status = llama_decode(context.get(), batch); status != 0)
      throw Error(ErrorCode::kInternal, fmt::format("libllama could not evaluate a pass: status {}", status));
  }
};

Yardstick::Yardstick(const std::string& path, const YardstickOptions& options)
    : impl_(std::make_unique<Impl>()) {
  route_ggml_log();
  impl_->model.reset(llama_model_load_from_file(path.c_str(), llama_model_default_params()));
  if (impl_->model) impl_->context.reset(llama_init_from_model(impl_->model.get(), context_params(options)));
  if (!impl_->context) throw Error(ErrorCode::kUnsupported, path + ": libllama does not take this file");
  if (!options.adapter.empty()) impl_->set_adapter(options.adapter);
  n_vocab_ = llama_vocab_n_tokens(llama_model_get_vocab(impl_->model.get()));
}

Yardstick::~Yardstick() = default;

std::vector<TokenId> Yardstick::tokenize(const std::string& text) const {
  const llama_vocab* vocab = llama_model_get_vocab(impl_->model.get());
  constexpr bool kAddSpecial = true;
  constexpr bool kParseSpecial = false;
  std::vector<llama_token> ids(text.size() + 8);
  const int n = llama_tokenize(vocab, text.data(), static_cast<int>(text.size()), ids.data(),
                               static_cast<int>(ids.size()), kAddSpecial, kParseSpecial);
  if (n < 0) throw Error(ErrorCode::kInternal, "libllama could not tokenise the text");
  std::vector<TokenId> tokens;
  tokens.reserve(static_cast<std::size_t>(n));
  for (int i = 0; i < n; ++i) tokens.push_back(TokenId{ids[static_cast<std::size_t>(i)]});
  return tokens;
}

std::vector<float> Yardstick::logits(std::span<const TokenId> tokens) {
  llama_memory_clear(llama_get_memory(impl_->context.get()), true);
  llama_batch batch = llama_batch_init(static_cast<int>(tokens.size()), 0, 1);
  const std::unique_ptr<llama_batch, void (*)(llama_batch*)> owner(
      &batch, [](llama_batch* b) { llama_batch_free(*b); });
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    batch.token[i] = to_int(tokens[i]);
    batch.pos[i] = static_cast<llama_pos>(i);
    batch.n_seq_id[i] = 1;
    batch.seq_id[i][0] = 0;
    batch.logits[i] = 1;
  }
  batch.n_tokens = static_cast<int>(tokens.size());
  impl_->decode(batch);
  const float* values = llama_get_logits(impl_->context.get());
  return {values, values + tokens.size() * static_cast<std::size_t>(n_vocab_)};
}

std::span<const float> Yardstick::next(TokenId token) {
  llama_token id = to_int(token);
  impl_->decode(llama_batch_get_one(&id, 1));
  return {llama_get_logits(impl_->context.get()), static_cast<std::size_t>(n_vocab_)};
}

}  // namespace tandem
