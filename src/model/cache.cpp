#include "model/cache.h"

#include <fmt/core.h>
#include <ggml.h>

#include <algorithm>

#include "model/cache_type.h"
#include "model/config.h"
#include "tandem/error.h"

namespace tandem {

Cache::Cache(const ModelConfig& config, CacheType type, int n_slots, ggml_backend_buffer_type_t buffer_type)
    : n_slots_(n_slots), bytes_per_slot_(cache_bytes_per_slot(config, type)) {
  if (n_slots < 1)
    throw Error(ErrorCode::kInvalidArgument, fmt::format("cache: expected at least 1 slot, got {}", n_slots));
  const auto element = static_cast<ggml_type>(element_of(type));
  const auto n_tensors = 2 * static_cast<std::size_t>(config.n_layers);
  context_.reset(ggml_init({n_tensors * ggml_tensor_overhead(), nullptr, true}));
  for (int i = 0; i < config.n_layers; ++i) {
    layers_.push_back({ggml_new_tensor_2d(context_.get(), element, config.n_embd_kv(), n_slots),
                       ggml_new_tensor_2d(context_.get(), element, config.n_embd_kv(), n_slots)});
  }
  buffer_.reset(ggml_backend_alloc_ctx_tensors_from_buft(context_.get(), buffer_type));
  if (!buffer_) {
    throw Error(ErrorCode::kUnsupported,
                fmt::format("cache: not enough memory for {} slots of {} bytes", n_slots, bytes_per_slot_));
  }
}

CacheSpan Cache::reserve(int n_slots) {
  if (n_slots < 1) return {};
  int begin = 0;
  auto next = spans_.begin();
  for (; next != spans_.end() && next->span.begin - begin < n_slots; ++next)
    begin = next->span.begin + next->span.size;
  if (next == spans_.end() && n_slots_ - begin < n_slots) return {};
  const CacheSpan span{begin, n_slots};
  spans_.insert(next, {span});
  return span;
}

void Cache::release(CacheSpan span) {
  TANDEM_CHECK(is_reserved(span));
  std::erase_if(spans_, [&](const Reserved& other) { return other.span.begin == span.begin; });
}

bool Cache::is_reserved(CacheSpan span) const {
  const auto found = find(span);
  return found != spans_.end();
}

std::vector<Cache::Reserved>::const_iterator Cache::find(CacheSpan span) const {
  const auto at = std::lower_bound(spans_.begin(), spans_.end(), span.begin,
                                   [](const Reserved& other, int begin) { return other.span.begin < begin; });
  const bool is_it = at != spans_.end() && at->span.begin == span.begin && at->span.size == span.size;
  return is_it ? at : spans_.end();
}

void Cache::prepare(CacheSpan span, int n_slots) {
  const auto found = find(span);
  TANDEM_CHECK(found != spans_.end() && n_slots <= span.size);
  Reserved& reserved = spans_[static_cast<std::size_t>(found - spans_.begin())];
  if (n_slots <= reserved.n_prepared) return;
  clear({span.begin + reserved.n_prepared, n_slots - reserved.n_prepared});
  reserved.n_prepared = n_slots;
}

void Cache::clear(CacheSpan slots) {
  // A hidden row weighs nothing, but nothing times infinity is not a number: what memory or a former owner
  // left here must be finite. Zero bytes are zeros in every type (a block's scale is 0).
  for (const Layer& layer : layers_) {
    for (ggml_tensor* tensor : {layer.k, layer.v}) {
      const std::size_t row = tensor->nb[1];
      ggml_backend_tensor_memset(tensor, 0, row * static_cast<std::size_t>(slots.begin),
                                 row * static_cast<std::size_t>(slots.size));
    }
  }
}

}  // namespace tandem
