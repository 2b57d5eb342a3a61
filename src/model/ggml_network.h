// The Network that has weights: one ggml graph per pass, over a cache of its own.
//
// Not thread-safe: one thread at a time calls it. Many networks may share one Model.
#pragma once

#include <memory>
#include <vector>

#include "model/backend.h"
#include "model/cache.h"
#include "model/network.h"
#include "model/pass_graph.h"
#include "model/workers.h"

namespace tandem {

class Family;
class Model;
struct NetworkOptions;

class GgmlNetwork final : public Network {
 public:
  /// Throws Error{kInvalidArgument} for options out of range, Error{kUnsupported} if memory does not suffice.
  GgmlNetwork(std::shared_ptr<const Model> model, const Family& family, ggml_backend_dev_t device,
              const NetworkOptions& options);

  int max_rows_per_pass() const override { return max_rows_; }
  [[nodiscard]] CacheSpan reserve(int n_slots) override { return cache_.reserve(n_slots); }
  void release(CacheSpan span) override { cache_.release(span); }
  Logits evaluate(std::span<const SessionRows> pass) override;
  void share_out(int n, const std::function<void(int)>& work) override { workers_.share_out(n, work); }
  bool widen(const std::shared_ptr<const Adapter>& adapter) override;
  void narrow() override;
  void set_wide_rows(int least) override;

 private:
  const std::shared_ptr<const Head>& head_of(const SessionRows& session) const;
  void put_in_order(std::span<const SessionRows> pass);
  void make_shape();
  void check(const SessionRows& session) const;
  void prepare_graph();
  void set_rows();
  void set_masks();
  void set_masks(int window, ggml_tensor* tensor);
  void set_key_order();
  void show_keys(const SessionRows& session, int window, std::size_t n_keys, std::span<ggml_fp16_t> mask);
  Logits read_logits(std::span<const SessionRows> pass);
  std::span<const float> logits_of(std::size_t head, int row);

  std::shared_ptr<const Model> model_;  // keeps the weights
  const Family& family_;
  Backend backend_;
  Workers workers_;
  Cache cache_;
  int max_rows_;
  WideChoice wide_;
  PassGraph graph_;  // of the last pass; the next one of the same shape reuses it
  ggml_gallocr_ptr allocator_;
  PassShape shape_;  // of the pass at hand, until it is the graph's

  std::vector<const SessionRows*> order_;  // of the sessions in the pass' graph (pass_graph.h)

  // Inputs and outputs on the host, kept between passes for their memory.
  std::vector<float> embeddings_;
  std::vector<std::int32_t> positions_;
  std::vector<std::int64_t> slots_;
  std::vector<std::int32_t> logit_rows_;
  std::vector<RowPlace> queries_;
  std::vector<float> visibility_;
  std::vector<std::int32_t> key_order_;
  std::vector<ggml_fp16_t> mask_;
  std::vector<std::size_t> first_logits_;
  std::vector<std::span<const float>> logits_;
  std::vector<std::vector<float>> copied_logits_;  // of each head, from a device with memory of its own
};

}  // namespace tandem
