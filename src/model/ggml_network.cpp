#include "model/ggml_network.h"

#include <fmt/core.h>
#include <ggml.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <tuple>

#include "model/adapter.h"
#include "model/config.h"
#include "model/family.h"
#include "model/head.h"
#include "model/model.h"
#include "tandem/error.h"

namespace tandem {

namespace {

// Attention reads keys in steps of this many slots, the surplus hidden, so that most passes have the last
// one's shape.
constexpr int kKeyStep = 32;

constexpr int kMostThreads = 512;
constexpr int kMostRows = 1 << 16;

int round_up(int value, int step) {
  return (value + step - 1) / step * step;
}

int checked(const char* option, int value, int most) {
  if (value < 1 || value > most) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("{}: expected 1 to {}, got {}", option, most, value));
  }
  return value;
}

int count_wanted(const SessionRows& session) {
  return static_cast<int>(std::count_if(session.rows.begin(), session.rows.end(),
                                        [](const PassRow& row) { return row.wants_logits; }));
}

template <typename T>
void upload(ggml_tensor* tensor, const std::vector<T>& values) {
  // An input that the graph does not use (the mask of a one-layer pass without logits) has no memory.
  if (tensor->buffer == nullptr) return;
  TANDEM_CHECK(values.size() * sizeof(T) == ggml_nbytes(tensor));
  ggml_backend_tensor_set(tensor, values.data(), 0, values.size() * sizeof(T));
}

}  // namespace

GgmlNetwork::GgmlNetwork(std::shared_ptr<const Model> model, const Family& family, ggml_backend_dev_t device,
                         const NetworkOptions& options)
    : model_(std::move(model)),
      family_(family),
      backend_(device, checked("threads", options.n_threads, kMostThreads)),
      workers_(backend_),
      cache_(family.config(), options.cache_type, options.n_slots, backend_.buffer_type()),
      max_rows_(checked("rows per pass", options.max_rows_per_pass, kMostRows)),
      graph_(family.config(), cache_, options.attention, wide_, options.n_threads),
      allocator_(ggml_gallocr_new(backend_.buffer_type())) {}

bool GgmlNetwork::widen(const std::shared_ptr<const Adapter>& adapter) {
  const auto known = wide_.copies.find(adapter);
  if (known != wide_.copies.end()) return known->second != nullptr;
  graph_.clear();  // it keeps its adapters
  // Nobody else has it any more: its rows will not come again.
  std::erase_if(wide_.copies, [](const auto& entry) { return entry.first && entry.first.use_count() == 1; });
  const auto share = [this](int n, const std::function<void(int)>& work) { share_out(n, work); };
  return (wide_.copies[adapter] = model_->make_wide_copies(adapter.get(), share)) != nullptr;
}

void GgmlNetwork::narrow() {
  graph_.clear();  // of products with them
  wide_.copies.clear();
}

void GgmlNetwork::set_wide_rows(int least) {
  wide_.least_rows = least;
  graph_.clear();
}

Logits GgmlNetwork::evaluate(std::span<const SessionRows> pass) {
  put_in_order(pass);
  make_shape();
  if (shape_.n_rows == 0) return {};
  prepare_graph();
  for (std::size_t i = 0; i < order_.size(); ++i)
    cache_.prepare(order_[i]->span, graph_.shape().sessions[i].n_keys);
  set_rows();
  set_masks();
  set_key_order();
  graph_.start();
  backend_.compute(graph_.graph());
  return read_logits(pass);
}

const std::shared_ptr<const Head>& GgmlNetwork::head_of(const SessionRows& session) const {
  return session.adapter ? session.adapter->head() : model_->head();
}

/// Sessions with the same adapter become neighbours, and those with the same head too.
void GgmlNetwork::put_in_order(std::span<const SessionRows> pass) {
  order_.clear();
  for (const SessionRows& session : pass) {
    if (session.rows.empty()) continue;
    check(session);
    // Behind the last one with its adapter, or else with its head, or else at the end. An adapter has one
    // head.
    const auto behind = [&](auto is_alike) {
      return std::find_if(order_.rbegin(), order_.rend(), is_alike).base();
    };
    auto place = behind([&](const SessionRows* other) { return other->adapter == session.adapter; });
    if (place == order_.begin())
      place = behind([&](const SessionRows* other) { return head_of(*other) == head_of(session); });
    order_.insert(place == order_.begin() ? order_.end() : place, &session);
  }
}

void GgmlNetwork::make_shape() {
  shape_.clear();
  for (const SessionRows* session : order_) {
    SessionPart part;
    part.first_row = shape_.n_rows;
    part.n_rows = static_cast<int>(session->rows.size());
    part.first_slot = session->span.begin;
    part.n_keys = std::min(round_up(static_cast<int>(session->cached.size()), kKeyStep), session->span.size);
    part.mask = shape_.n_mask;
    shape_.n_mask += static_cast<std::size_t>(part.n_rows) * static_cast<std::size_t>(part.n_keys);
    part.keys = shape_.n_keys;
    shape_.n_keys += static_cast<std::size_t>(part.n_keys);
    shape_.sessions.push_back(part);
    const int n_logits = count_wanted(*session);
    if (session->adapter) {
      if (shape_.adapters.empty() || shape_.adapters.back().adapter != session->adapter)
        shape_.adapters.push_back({session->adapter, {shape_.n_rows, 0}, {shape_.n_logits, 0}});
      shape_.adapters.back().rows.n += part.n_rows;
      shape_.adapters.back().logits.n += n_logits;
    }
    if (n_logits > 0) {
      if (shape_.heads.empty() || shape_.heads.back().head != head_of(*session))
        shape_.heads.push_back({head_of(*session), {shape_.n_logits, 0}});
      shape_.heads.back().logits.n += n_logits;
    }
    shape_.n_rows += part.n_rows;
    shape_.n_logits += n_logits;
  }
  TANDEM_CHECK(shape_.n_rows <= max_rows_);
}

void GgmlNetwork::check(const SessionRows& session) const {
  constexpr std::int32_t kMostDoubledPosition = 1 << 24;  // beyond, f32 no longer holds every position
  TANDEM_CHECK(cache_.is_reserved(session.span));
  TANDEM_CHECK(session.cached.size() <= static_cast<std::size_t>(session.span.size));
  TANDEM_CHECK(session.rows.size() <= static_cast<std::size_t>(max_rows_));
  for (const PassRow& row : session.rows) {
    const int slot = to_int(row.place.slot);
    const int token = to_int(row.token);
    const std::int32_t position = row.place.position.doubled();
    TANDEM_CHECK(slot >= 0 && static_cast<std::size_t>(slot) < session.cached.size());
    TANDEM_CHECK(token >= 0 && token < family_.config().n_vocab);
    TANDEM_CHECK(position >= 0 && position < kMostDoubledPosition);
    if (const int n_positions = family_.config().n_positions;
        n_positions > 0 && position >= 2 * n_positions) {
      throw Error(
          ErrorCode::kUnsupported,
          fmt::format("{}: expected positions below {}, for which its short RoPE factors hold, got {}",
                      model_->path(), n_positions, row.place.position.value()));
    }
  }
}

void GgmlNetwork::prepare_graph() {
  if (graph_.shape() == shape_) return;
  try {
    graph_.begin(shape_);
    family_.build(graph_);
    backend_.check(graph_.graph());
    if (!ggml_gallocr_alloc_graph(allocator_.get(), graph_.graph())) {
      throw Error(ErrorCode::kUnsupported,
                  fmt::format("not enough memory for a pass of {} rows", graph_.n_rows()));
    }
  } catch (...) {
    graph_.clear();  // half a graph is none
    throw;
  }
}

void GgmlNetwork::set_rows() {
  const auto n_embd = static_cast<std::size_t>(family_.config().n_embd);
  embeddings_.resize(static_cast<std::size_t>(graph_.n_rows()) * n_embd);
  positions_.clear();
  slots_.clear();
  logit_rows_.clear();
  for (const SessionRows* session : order_) {
    for (const PassRow& row : session->rows) {
      const std::size_t i = positions_.size();
      family_.token_embeddings().read(to_int(row.token), std::span(embeddings_).subspan(i * n_embd, n_embd));
      if (row.wants_logits) logit_rows_.push_back(static_cast<std::int32_t>(i));
      positions_.push_back(row.place.position.doubled());
      slots_.push_back(std::int64_t{session->span.begin} + to_int(row.place.slot));
    }
  }
  upload(graph_.embeddings(), embeddings_);
  upload(graph_.positions(), positions_);
  upload(graph_.slots(), slots_);
  if (graph_.logit_rows() != nullptr) upload(graph_.logit_rows(), logit_rows_);
}

void GgmlNetwork::set_masks() {
  set_masks(kNoWindow, graph_.mask());
  if (ggml_tensor* mask = graph_.window_mask(); mask != nullptr) set_masks(family_.config().window, mask);
}

void GgmlNetwork::set_masks(int window, ggml_tensor* tensor) {
  static const ggml_fp16_t kHidden = ggml_fp32_to_fp16(-std::numeric_limits<float>::infinity());
  mask_.assign(graph_.shape().n_mask, kHidden);
  for (std::size_t i = 0; i < order_.size(); ++i) {
    const SessionPart& part = graph_.shape().sessions[i];
    show_keys(*order_[i], window, static_cast<std::size_t>(part.n_keys), std::span(mask_).subspan(part.mask));
  }
  upload(tensor, mask_);
}

/// By group and place in it, so that sums do not depend on when a row came into which slot; what nobody sees
/// comes last.
void GgmlNetwork::set_key_order() {
  if (graph_.key_order() == nullptr) return;
  key_order_.resize(graph_.shape().n_keys);
  for (std::size_t i = 0; i < order_.size(); ++i) {
    const SessionPart& part = graph_.shape().sessions[i];
    const std::span<const RowPlace> rows = order_[i]->cached;
    const auto keys = std::span(key_order_).subspan(part.keys, static_cast<std::size_t>(part.n_keys));
    std::iota(keys.begin(), keys.end(), 0);
    const auto place_of = [&](std::int32_t key) {
      const bool is_row = static_cast<std::size_t>(key) < rows.size();
      const RowPlace row = is_row ? rows[static_cast<std::size_t>(key)] : RowPlace{.kind = RowKind::kDropped};
      return std::tuple(row.kind == RowKind::kDropped, row.group.target_index(), row.index, key);
    };
    std::sort(keys.begin(), keys.end(),
              [&](std::int32_t a, std::int32_t b) { return place_of(a) < place_of(b); });
  }
  upload(graph_.key_order(), key_order_);
}

/// mask [rows, n_keys], all hidden so far.
void GgmlNetwork::show_keys(const SessionRows& session, int window, std::size_t n_keys,
                            std::span<ggml_fp16_t> mask) {
  const std::size_t n_cached = session.cached.size();
  queries_.clear();
  for (const PassRow& row : session.rows) queries_.push_back(row.place);
  visibility_.resize(queries_.size() * n_cached);
  fill_mask(queries_, session.cached, visibility_, window);

  static const ggml_fp16_t kVisible = ggml_fp32_to_fp16(0.0F);
  for (std::size_t q = 0; q < queries_.size(); ++q) {
    for (std::size_t key = 0; key < n_cached; ++key) {
      if (visibility_[q * n_cached + key] == 0.0F) mask[q * n_keys + key] = kVisible;
    }
  }
}

/// From the graph's order back to the pass'; where the device's memory is the host's, without a copy.
Logits GgmlNetwork::read_logits(std::span<const SessionRows> pass) {
  first_logits_.clear();  // of each session
  std::size_t n_logits = 0;
  for (const SessionRows& session : pass) {
    first_logits_.push_back(n_logits);
    n_logits += static_cast<std::size_t>(count_wanted(session));
  }
  logits_.resize(n_logits);
  copied_logits_.resize(graph_.shape().heads.size());
  std::size_t head = 0;
  int row = 0;  // of the head
  for (const SessionRows* session : order_) {
    const std::size_t first = first_logits_[static_cast<std::size_t>(session - pass.data())];
    for (int i = 0; i < count_wanted(*session); ++i, ++row) {
      if (row == graph_.shape().heads[head].logits.n) ++head, row = 0;
      logits_[first + static_cast<std::size_t>(i)] = logits_of(head, row);
    }
  }
  return {logits_};
}

std::span<const float> GgmlNetwork::logits_of(std::size_t head, int row) {
  const ggml_tensor* logits = graph_.logits(head);
  const auto width = static_cast<std::size_t>(logits->ne[0]);
  const auto* values = static_cast<const float*>(logits->data);
  if (!ggml_backend_buffer_is_host(logits->buffer)) {
    std::vector<float>& copy = copied_logits_[head];
    if (row == 0) {
      copy.resize(static_cast<std::size_t>(ggml_nelements(logits)));
      ggml_backend_tensor_get(logits, copy.data(), 0, ggml_nbytes(logits));
    }
    values = copy.data();
  }
  return {values + width * static_cast<std::size_t>(row), width};
}

}  // namespace tandem
