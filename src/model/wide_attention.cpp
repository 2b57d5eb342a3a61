#include "model/wide_attention.h"

#include <ggml.h>

#include <algorithm>
#include <vector>

#include "model/config.h"
#include "numeric/attention_loops.h"
#include "tandem/error.h"

namespace tandem {

namespace {

// Keys are widened once for so many rows; more to a task would leave threads without any.
constexpr int kMostTaskRows = 4;

int n_row_groups(const SessionPart& part) {
  return (part.n_rows + kMostTaskRows - 1) / kMostTaskRows;
}

template <typename T>
const T* data_of(const ggml_tensor* tensor) {
  return static_cast<const T*>(tensor->data);
}

}  // namespace

struct WideAttention::Impl {
  /// Some rows of a session and heads that share a key head.
  struct Task {
    SessionPart part;
    int key_head;
    int first_head;  // of queries
    int n_heads;
  };

  const ModelConfig& config;
  std::vector<AttentionScratch> scratches;  // of each thread
  std::vector<Task> tasks = {};
  std::vector<std::int64_t> costs_until = {0};  // of the tasks before each, and of all

  int heads_of_task(std::span<const SessionPart> parts) const;
  void add_tasks(const SessionPart& part, int n_heads);
  template <typename Element>
  void run(ggml_tensor* y, int thread, int n_threads);
};

/// All that share a key head, which is then widened once; or fewer, where threads would be without a task.
int WideAttention::Impl::heads_of_task(std::span<const SessionPart> parts) const {
  int n_tasks = 0;
  for (const SessionPart& part : parts) n_tasks += config.n_kv_heads * n_row_groups(part);
  const int n_shared = config.n_heads / config.n_kv_heads;
  const int n_shares = std::clamp(static_cast<int>(scratches.size()) / n_tasks, 1, n_shared);
  return (n_shared + n_shares - 1) / n_shares;
}

/// Of so many heads each.
void WideAttention::Impl::add_tasks(const SessionPart& part, int n_heads) {
  const int n_shared = config.n_heads / config.n_kv_heads;
  for (int first = 0; first < part.n_rows; first += kMostTaskRows) {
    SessionPart rows = part;
    rows.first_row += first;
    rows.n_rows = std::min(kMostTaskRows, part.n_rows - first);
    rows.mask += static_cast<std::size_t>(first) * static_cast<std::size_t>(part.n_keys);
    for (int key_head = 0; key_head < config.n_kv_heads; ++key_head) {
      for (int head = 0; head < n_shared; head += n_heads) {
        tasks.push_back({rows, key_head, n_shared * key_head + head, std::min(n_heads, n_shared - head)});
        costs_until.push_back(costs_until.back() + std::int64_t{rows.n_rows + 1} * rows.n_keys);
      }
    }
  }
}

/// The tasks whose costs begin in the thread's share of all.
template <typename Element>
void WideAttention::Impl::run(ggml_tensor* y, int thread, int n_threads) {
  const ggml_tensor* q = y->src[0];
  const std::size_t slot = y->src[1]->nb[1] / sizeof(Element);
  const auto begin_of = [&](int share) {
    const std::int64_t cost = costs_until.back() * share / n_threads;
    return static_cast<std::size_t>(std::lower_bound(costs_until.begin(), costs_until.end() - 1, cost) -
                                    costs_until.begin());
  };
  for (std::size_t i = begin_of(thread); i < begin_of(thread + 1); ++i) {
    const auto& [part, key_head, first_head, n_heads] = tasks[i];
    const auto keys = static_cast<std::size_t>(part.first_slot) * slot +
                      static_cast<std::size_t>(key_head * config.head_dim);
    const auto row = static_cast<std::size_t>(part.first_row);
    const auto head = static_cast<std::size_t>(first_head);
    const AttentionBlock<Element> block{
        .head_dim = config.head_dim,
        .n_rows = part.n_rows,
        .n_heads = n_heads,
        .n_keys = part.n_keys,
        .q = data_of<float>(q) + (row * q->nb[2] + head * q->nb[1]) / sizeof(float),
        .q_row = q->nb[2] / sizeof(float),
        .q_head = q->nb[1] / sizeof(float),
        .k = data_of<Element>(y->src[1]) + keys,
        .v = data_of<Element>(y->src[2]) + keys,
        .slot = slot,
        .mask = data_of<Float16>(y->src[3]) + part.mask,
        .order = data_of<std::int32_t>(y->src[4]) + part.keys,
        .scale = config.attention_scale,
        .soft_cap = config.attention_soft_cap,
        .out = static_cast<float*>(y->data) + row * y->nb[1] / sizeof(float) +
               head * static_cast<std::size_t>(config.head_dim),
        .out_row = y->nb[1] / sizeof(float)};
    tandem::attend(block, scratches[static_cast<std::size_t>(thread)]);
  }
}

namespace {

template <typename Element>
void run_attention(ggml_tensor* y, int thread, int n_threads, void* attention) {
  static_cast<WideAttention::Impl*>(attention)->run<Element>(y, thread, n_threads);
}

}  // namespace

bool WideAttention::can_read(int type) {
  return type == GGML_TYPE_F16 || type == GGML_TYPE_F32;
}

WideAttention::WideAttention(const ModelConfig& config, int n_threads)
    : impl_(std::make_unique<Impl>(
          Impl{.config = config,
               .scratches = std::vector<AttentionScratch>(static_cast<std::size_t>(n_threads))})) {}
WideAttention::~WideAttention() = default;

void WideAttention::begin(std::span<const SessionPart> parts) {
  impl_->tasks.clear();
  impl_->costs_until.assign(1, 0);
  const int n_heads = parts.empty() ? 0 : impl_->heads_of_task(parts);
  for (const SessionPart& part : parts) impl_->add_tasks(part, n_heads);
}

ggml_tensor* WideAttention::attend(ggml_context* context, ggml_tensor* q, ggml_tensor* keys,
                                   ggml_tensor* values, ggml_tensor* mask, ggml_tensor* order) const {
  TANDEM_CHECK(q->type == GGML_TYPE_F32 && mask->type == GGML_TYPE_F16 && order->type == GGML_TYPE_I32);
  TANDEM_CHECK(keys->type == values->type);
  TANDEM_CHECK(can_read(keys->type) && q->nb[0] == sizeof(float));
  ggml_tensor* inputs[] = {q, keys, values, mask, order};
  const auto run = keys->type == GGML_TYPE_F16 ? run_attention<Float16> : run_attention<float>;
  return ggml_custom_4d(context, GGML_TYPE_F32, impl_->config.n_embd_q(), q->ne[2], 1, 1, inputs, 5, run,
                        GGML_N_TASKS_MAX, impl_.get());
}

}  // namespace tandem
