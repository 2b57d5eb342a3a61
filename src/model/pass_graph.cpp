#include "model/pass_graph.h"

#include <ggml.h>

#include <algorithm>
#include <utility>

#include "model/config.h"
#include "model/head.h"
#include "model/wide_rows.h"
#include "tandem/error.h"

namespace tandem {

const WideCopies* WideChoice::find(const std::shared_ptr<const Adapter>& adapter) const {
  const auto found = copies.find(adapter);
  return found == copies.end() ? nullptr : found->second.get();
}

PassGraph::PassGraph(const ModelConfig& config, const Cache& cache, Attention attention,
                     const WideChoice& wide, int n_threads)
    : config_(config),
      cache_(cache),
      attention_(attention),
      wide_(wide),
      wide_attention_(config, n_threads) {}

void PassGraph::clear() {
  shape_.clear();
}

void PassGraph::begin(PassShape& shape) {
  std::swap(shape_, shape);
  shape.clear();
  logits_.clear();
  make_wide_parts();
  last_norm_ = {};
  last_blocks_ = {};
  wide_products_.begin();
  wide_attention_.begin(shape_.sessions);
  make_context();
  make_inputs();
}

/// One without copies leaves the whole pass without.
void PassGraph::make_wide_parts() {
  wide_parts_.clear();
  if (wide_.least_rows == 0 || shape_.n_rows < wide_.least_rows) return;
  int n_rows = 0, n_logits = 0;
  const auto add = [&](const std::shared_ptr<const Adapter>& adapter, int end, int logits_end) {
    if (end == n_rows) return;
    wide_parts_.push_back({wide_.find(adapter), {n_rows, end - n_rows}, {n_logits, logits_end - n_logits}});
    n_rows = end, n_logits = logits_end;
  };
  for (const AdapterPart& part : shape_.adapters) {
    add(nullptr, part.rows.first, part.logits.first);  // those before it, which have none
    add(part.adapter, part.rows.first + part.rows.n, part.logits.first + part.logits.n);
  }
  add(nullptr, shape_.n_rows, shape_.n_logits);
  const auto has_none = [](const WidePart& part) { return part.copies == nullptr; };
  if (std::any_of(wide_parts_.begin(), wide_parts_.end(), has_none)) wide_parts_.clear();
}

void PassGraph::make_context() {
  constexpr std::size_t kNodesPerLayer = 60;    // of any family, views included
  constexpr std::size_t kNodesPerSession = 20;  // of one layer's attention, views included
  constexpr std::size_t kNodesPerAdapter = 56;  // of one layer's products, or of a head's
  constexpr std::size_t kNodesPerHead = 8;
  constexpr std::size_t kNodesOutside = 32;  // inputs
  const std::size_t n_nodes = static_cast<std::size_t>(config_.n_layers) *
                                  (kNodesPerLayer + kNodesPerSession * shape_.sessions.size() +
                                   kNodesPerAdapter * shape_.adapters.size()) +
                              kNodesOutside + 2 * shape_.sessions.size() +
                              kNodesPerAdapter * shape_.adapters.size() + kNodesPerHead * shape_.heads.size();
  const std::size_t n_bytes = n_nodes * ggml_tensor_overhead() + ggml_graph_overhead_custom(n_nodes, false);
  if (memory_.size() < n_bytes) memory_.resize(n_bytes);
  context_.reset(ggml_init({n_bytes, memory_.data(), true}));
  if (!context_) throw Error(ErrorCode::kUnsupported, "not enough memory for the graph of a pass");
  graph_ = ggml_new_graph_custom(context_.get(), n_nodes, false);
}

void PassGraph::make_inputs() {
  embeddings_ = input(GGML_TYPE_F32, config_.n_embd, shape_.n_rows);
  positions_ = input(GGML_TYPE_I32, shape_.n_rows);
  slots_ = input(GGML_TYPE_I64, shape_.n_rows);
  const bool selects = shape_.n_logits > 0 && shape_.n_logits < shape_.n_rows;
  logit_rows_ = selects ? input(GGML_TYPE_I32, shape_.n_logits) : nullptr;
  mask_ = input(GGML_TYPE_F16, static_cast<std::int64_t>(shape_.n_mask));
  if (config_.window > 0) window_mask_ = input(GGML_TYPE_F16, static_cast<std::int64_t>(shape_.n_mask));
  key_order_ = attends_wide() ? input(GGML_TYPE_I32, static_cast<std::int64_t>(shape_.n_keys)) : nullptr;
}

ggml_tensor* PassGraph::input(ggml_type type, std::int64_t ne0, std::int64_t ne1) const {
  ggml_tensor* tensor = ggml_new_tensor_2d(context_.get(), type, ne0, ne1);
  ggml_set_input(tensor);
  return tensor;
}

ggml_tensor* PassGraph::rotate(int layer, ggml_tensor* x, ggml_tensor* factors) const {
  // Positions come doubled, so that halves are whole numbers, and turn half as fast: a power of two, so whole
  // positions give the very same angles, bit by bit.
  constexpr float kHalf = 0.5F;
  constexpr float kNoYarn = 0.0F;
  constexpr float kBetaFast = 32.0F;  // of YaRN: unused, but ggml computes with them
  constexpr float kBetaSlow = 1.0F;
  const RopeSpeed& speed = config_.rope_of(layer);
  const int mode = config_.rope_pairs == RopePairs::kNeighbours ? GGML_ROPE_TYPE_NORMAL : GGML_ROPE_TYPE_NEOX;
  return ggml_rope_ext(context_.get(), x, positions_, factors, config_.n_rope_dims, mode, config_.n_context,
                       speed.base, kHalf * speed.scale, kNoYarn, config_.rope_magnitude, kBetaFast,
                       kBetaSlow);
}

bool PassGraph::attends_wide() const {
  return !wide_parts_.empty() && attention_ == Attention::kFused &&
         WideAttention::can_read(cache_.layer(0).k->type);
}

ggml_tensor* PassGraph::attend(int layer, ggml_tensor* q, ggml_tensor* k, ggml_tensor* v) const {
  ggml_context* ctx = context_.get();
  const Cache::Layer& cached = cache_.layer(layer);
  ggml_tensor* masks = config_.has_window(layer) ? window_mask_ : mask_;
  // Reading through the written tensors makes the writes come first.
  ggml_tensor* keys = ggml_set_rows(ctx, cached.k, k, slots_);    // ne = [n_embd_kv, n_slots]
  ggml_tensor* values = ggml_set_rows(ctx, cached.v, v, slots_);  // ne = [n_embd_kv, n_slots]
  ggml_build_forward_expand(graph_, keys);
  ggml_build_forward_expand(graph_, values);
  if (attends_wide()) return wide_attention_.attend(ctx, q, keys, values, masks, key_order_);
  if (shape_.sessions.size() == 1) return attend_session(shape_.sessions.front(), masks, q, keys, values);

  ggml_tensor* joined = ggml_new_tensor_2d(ctx, GGML_TYPE_F32, config_.n_embd_q(), shape_.n_rows);
  for (const SessionPart& part : shape_.sessions) {
    ggml_tensor* rows = attend_session(part, masks, q, keys, values);  // ne = [n_embd_q, its rows]
    const std::size_t offset = joined->nb[1] * static_cast<std::size_t>(part.first_row);
    joined = ggml_set_2d_inplace(ctx, joined, rows, joined->nb[1], offset);
  }
  return joined;
}

ggml_tensor* PassGraph::attend_session(const SessionPart& part, ggml_tensor* masks, ggml_tensor* q,
                                       ggml_tensor* keys, ggml_tensor* values) const {
  ggml_context* ctx = context_.get();
  const auto of_session = [&](ggml_tensor* cached) {  // ne = [head_dim, n_keys, n_kv_heads]
    const std::size_t head_size = ggml_row_size(cached->type, config_.head_dim);
    return ggml_view_3d(ctx, cached, config_.head_dim, part.n_keys, config_.n_kv_heads, cached->nb[1],
                        head_size, cached->nb[1] * static_cast<std::size_t>(part.first_slot));
  };
  ggml_tensor* rows = ggml_view_3d(ctx, q, config_.head_dim, config_.n_heads, part.n_rows, q->nb[1], q->nb[2],
                                   q->nb[2] * static_cast<std::size_t>(part.first_row));
  rows = ggml_permute(ctx, rows, 0, 2, 1, 3);  // ne = [head_dim, n_rows, n_heads]
  ggml_tensor* k = of_session(keys);
  ggml_tensor* v = of_session(values);
  const std::size_t mask_row = ggml_row_size(masks->type, part.n_keys);
  ggml_tensor* mask =
      ggml_view_2d(ctx, masks, part.n_keys, part.n_rows, mask_row, ggml_row_size(masks->type, 1) * part.mask);
  if (attention_ == Attention::kPlain) return attend_plain(mask, rows, k, v);
  constexpr float kNoAlibi = 0.0F;
  ggml_tensor* attended =  // ne = [head_dim, n_heads, n_rows]
      ggml_flash_attn_ext(ctx, rows, k, v, mask, config_.attention_scale, kNoAlibi,
                          config_.attention_soft_cap);
  return ggml_reshape_2d(ctx, attended, config_.n_embd_q(), part.n_rows);
}

/// q ne = [head_dim, n_rows, n_heads]; k, v ne = [head_dim, n_keys, n_kv_heads]. Returns ne = [n_embd_q,
/// n_rows].
ggml_tensor* PassGraph::attend_plain(ggml_tensor* mask, ggml_tensor* q, ggml_tensor* k,
                                     ggml_tensor* v) const {
  ggml_context* ctx = context_.get();
  if (ggml_is_quantized(k->type)) {
    // Products with blocks would round the query too; what is kept is all that may be rounded here.
    k = ggml_cast(ctx, k, GGML_TYPE_F32);
    v = ggml_cast(ctx, v, GGML_TYPE_F32);
  }
  float scale = config_.attention_scale;
  ggml_tensor* scores = ggml_mul_mat(ctx, k, q);  // ne = [n_keys, n_rows, n_heads]
  if (const float cap = config_.attention_soft_cap; cap > 0.0F) {
    scores = ggml_scale(ctx, ggml_tanh(ctx, ggml_scale(ctx, scores, scale / cap)), cap);
    scale = 1.0F;
  }
  ggml_tensor* weights = ggml_soft_max_ext(ctx, scores, mask, scale, 0.0F);
  ggml_tensor* columns = ggml_cont(ctx, ggml_transpose(ctx, v));  // ne = [n_keys, head_dim, n_kv_heads]
  ggml_tensor* attended = ggml_mul_mat(ctx, columns, weights);    // ne = [head_dim, n_rows, n_heads]
  attended = ggml_permute(ctx, attended, 0, 2, 1, 3);             // ne = [head_dim, n_heads, n_rows]
  return ggml_cont_2d(ctx, attended, config_.n_embd_q(), q->ne[1]);
}

ggml_tensor* PassGraph::select_logit_rows(ggml_tensor* x) const {
  return logit_rows_ == nullptr ? x : ggml_get_rows(context_.get(), x, logit_rows_);
}

bool PassGraph::takes_copies(const ggml_tensor* x) const {
  return !wide_parts_.empty() && x->ne[1] >= wide_.least_rows;
}

/// Whatever is changed in them, copies are of the same matrices; but for heads, which differ.
bool PassGraph::has_copies(const ggml_tensor* matrix) const {
  return wide_parts_.front().copies->find(matrix) != nullptr;
}

/// Of each part that has rows of x.
std::span<const WideFactor> PassGraph::wide_factors(const ggml_tensor* x, const ggml_tensor* matrix,
                                                    const ggml_tensor* up) {
  factors_.clear();
  for (const WidePart& part : wide_parts_) {
    const RowRange rows = x->ne[1] == shape_.n_rows ? part.rows : part.logits;
    if (rows.n == 0) continue;
    factors_.push_back({.rows = rows,
                        .matrix = part.copies->find(matrix),
                        .up = up == nullptr ? nullptr : part.copies->find(up)});
  }
  return factors_;
}

ggml_tensor* PassGraph::wide_product(const ggml_tensor* matrix, ggml_tensor* x) {
  if (!takes_copies(x) || !has_copies(matrix)) return nullptr;
  return wide_products_.multiply(context_.get(), wide_factors(x, matrix), in_blocks(x));
}

ggml_tensor* PassGraph::wide_head_product(const HeadPart& part, ggml_tensor* x) {
  if (!takes_copies(x)) return nullptr;
  factors_.clear();
  for (const WidePart& wide : wide_parts_) {
    const RowRange rows{wide.logits.first - part.logits.first, wide.logits.n};
    if (rows.n == 0 || rows.first < 0 || rows.first >= part.logits.n) continue;
    factors_.push_back({.rows = rows, .matrix = wide.copies->find(part.head->matrix)});
    if (factors_.back().matrix == nullptr) return nullptr;
  }
  return wide_products_.multiply(context_.get(), factors_, in_blocks(x));
}

/// Once for products in a row with the same x. Where x is a norm that was not looked at otherwise, it is made
/// in blocks at once, and the node without never gets into the graph.
ggml_tensor* PassGraph::in_blocks(ggml_tensor* x) {
  if (x->type == GGML_TYPE_I8) return x;
  if (x == last_blocks_.x) return last_blocks_.y;
  ggml_tensor* y = x == last_norm_.y
                       ? wide_norm_blocks(context_.get(), last_norm_.x, last_norm_.gain, config_.norm_epsilon)
                       : wide_blocks(context_.get(), x);
  last_blocks_ = {.y = y, .x = x};
  return y;
}

ggml_tensor* PassGraph::wide_norm(ggml_tensor* x, ggml_tensor* gain) {
  if (wide_parts_.empty() || !ggml_is_contiguous(x)) return nullptr;
  ggml_tensor* y = tandem::wide_norm(context_.get(), x, gain, config_.norm_epsilon);
  last_norm_ = {.y = y, .x = x, .gain = gain};
  return y;
}

ggml_tensor* PassGraph::wide_gate(GateActivation activation, const ggml_tensor* gate, const ggml_tensor* up,
                                  const ggml_tensor* down, ggml_tensor* x) {
  if (!takes_copies(x) || !has_copies(gate) || !has_copies(up) || !has_copies(down)) return nullptr;
  return wide_products_.gate(context_.get(), activation, wide_factors(x, gate, up), in_blocks(x));
}

void PassGraph::add_logits(ggml_tensor* logits) {
  logits_.push_back(logits);
  ggml_set_output(logits);
  ggml_build_forward_expand(graph_, logits);
}

}  // namespace tandem
