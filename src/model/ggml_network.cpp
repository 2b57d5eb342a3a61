#include "model/ggml_network.h"

#include <fmt/core.h>
#include <ggml.h>

#include <algorithm>
#include <limits>

#include "model/config.h"
#include "model/family.h"
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
      cache_(family.config(), options.cache_type, options.n_slots, backend_.buffer_type()),
      attention_(options.attention),
      max_rows_(checked("rows per pass", options.max_rows_per_pass, kMostRows)),
      allocator_(ggml_gallocr_new(backend_.buffer_type())) {}

Logits GgmlNetwork::evaluate(std::span<const SessionRows> pass) {
  PassShape shape = shape_of(pass);
  const int n_vocab = family_.config().n_vocab;
  if (shape.n_rows == 0) return {{}, n_vocab};
  prepare_graph(std::move(shape));
  set_rows(pass);
  for (std::size_t i = 0, part = 0; i < pass.size(); ++i) {
    if (pass[i].rows.empty()) continue;
    const SessionPart& shape_of_part = graph_->shape().sessions[part];
    set_mask(pass[i], shape_of_part, kNoWindow, graph_->mask(part));
    if (ggml_tensor* mask = graph_->window_mask(part); mask != nullptr)
      set_mask(pass[i], shape_of_part, family_.config().window, mask);
    ++part;
  }
  if (ggml_backend_graph_compute(backend_.get(), graph_->graph()) != GGML_STATUS_SUCCESS) {
    throw Error(ErrorCode::kInternal, "the device could not compute the pass");
  }
  logits_.resize(static_cast<std::size_t>(graph_->shape().n_logits) * static_cast<std::size_t>(n_vocab));
  if (!logits_.empty())
    ggml_backend_tensor_get(graph_->logits(), logits_.data(), 0, logits_.size() * sizeof(float));
  return {logits_, n_vocab};
}

PassShape GgmlNetwork::shape_of(std::span<const SessionRows> pass) const {
  PassShape shape;
  for (const SessionRows& session : pass) {
    if (session.rows.empty()) continue;
    check(session);
    SessionPart part;
    part.first_row = shape.n_rows;
    part.n_rows = static_cast<int>(session.rows.size());
    part.first_slot = session.span.begin;
    part.n_keys = std::min(round_up(static_cast<int>(session.cached.size()), kKeyStep), session.span.size);
    shape.sessions.push_back(part);
    shape.n_rows += part.n_rows;
    shape.n_logits += static_cast<int>(std::count_if(session.rows.begin(), session.rows.end(),
                                                     [](const PassRow& row) { return row.wants_logits; }));
  }
  TANDEM_CHECK(shape.n_rows <= max_rows_);
  return shape;
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

void GgmlNetwork::prepare_graph(PassShape shape) {
  if (graph_ && graph_->shape() == shape) return;
  graph_.reset();
  auto graph = std::make_unique<PassGraph>(family_.config(), cache_, attention_, std::move(shape));
  family_.build(*graph);
  if (!ggml_gallocr_alloc_graph(allocator_.get(), graph->graph())) {
    throw Error(ErrorCode::kUnsupported,
                fmt::format("not enough memory for a pass of {} rows", graph->n_rows()));
  }
  graph_ = std::move(graph);
}

void GgmlNetwork::set_rows(std::span<const SessionRows> pass) {
  const auto n_embd = static_cast<std::size_t>(family_.config().n_embd);
  embeddings_.resize(static_cast<std::size_t>(graph_->n_rows()) * n_embd);
  positions_.clear();
  slots_.clear();
  logit_rows_.clear();
  for (const SessionRows& session : pass) {
    for (const PassRow& row : session.rows) {
      const std::size_t i = positions_.size();
      family_.token_embeddings().read(to_int(row.token), std::span(embeddings_).subspan(i * n_embd, n_embd));
      if (row.wants_logits) logit_rows_.push_back(static_cast<std::int32_t>(i));
      positions_.push_back(row.place.position.doubled());
      slots_.push_back(std::int64_t{session.span.begin} + to_int(row.place.slot));
    }
  }
  upload(graph_->embeddings(), embeddings_);
  upload(graph_->positions(), positions_);
  upload(graph_->slots(), slots_);
  if (graph_->logit_rows() != nullptr) upload(graph_->logit_rows(), logit_rows_);
}

void GgmlNetwork::set_mask(const SessionRows& session, const SessionPart& part, int window,
                           ggml_tensor* mask) {
  const std::size_t n_cached = session.cached.size();
  const auto n_keys = static_cast<std::size_t>(part.n_keys);
  queries_.clear();
  for (const PassRow& row : session.rows) queries_.push_back(row.place);
  visibility_.resize(queries_.size() * n_cached);
  fill_mask(queries_, session.cached, visibility_, window);

  static const ggml_fp16_t kVisible = ggml_fp32_to_fp16(0.0F);
  static const ggml_fp16_t kHidden = ggml_fp32_to_fp16(-std::numeric_limits<float>::infinity());
  mask_.assign(queries_.size() * n_keys, kHidden);
  for (std::size_t q = 0; q < queries_.size(); ++q) {
    for (std::size_t key = 0; key < n_cached; ++key) {
      if (visibility_[q * n_cached + key] == 0.0F) mask_[q * n_keys + key] = kVisible;
    }
  }
  upload(mask, mask_);
}

}  // namespace tandem
