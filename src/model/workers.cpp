#include "model/workers.h"

#include <ggml.h>

#include <utility>

#include "model/backend.h"
#include "tandem/error.h"

namespace tandem {

Workers::Workers(const Backend& backend) : backend_(backend.get()) {
  const ggml_backend_dev_t device = ggml_backend_get_device(backend_);
  if (ggml_backend_dev_type(device) != GGML_BACKEND_DEVICE_TYPE_CPU) return;
  constexpr std::size_t kNodes = 1;
  context_.reset(ggml_init(
      {kNodes * ggml_tensor_overhead() + ggml_graph_overhead_custom(kNodes, false), nullptr, true}));
  graph_ = ggml_new_graph_custom(context_.get(), kNodes, false);
  ggml_tensor* node =
      ggml_custom_4d(context_.get(), GGML_TYPE_F32, 1, 1, 1, 1, nullptr, 0, run, GGML_N_TASKS_MAX, this);
  ggml_build_forward_expand(graph_, node);
  buffer_.reset(ggml_backend_alloc_ctx_tensors(context_.get(), backend_));
}

void Workers::run(ggml_tensor*, int, int, void* workers) {
  static_cast<Workers*>(workers)->take_turns();
}

/// Nothing may be thrown through ggml's threads.
void Workers::take_turns() noexcept {
  for (int i = next_++; i < n_; i = next_++) {
    try {
      (*work_)(i);
    } catch (...) {
      const std::lock_guard lock(failing_);
      if (!failure_) failure_ = std::current_exception();
    }
  }
}

void Workers::share_out(int n, const std::function<void(int)>& work) {
  work_ = &work;
  n_ = n;
  next_ = 0;
  if (graph_ == nullptr || n == 1) {
    take_turns();
  } else if (ggml_backend_graph_compute(backend_, graph_) != GGML_STATUS_SUCCESS) {
    throw Error(ErrorCode::kInternal, "the device could not run its threads");
  }
  if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
}

}  // namespace tandem
