#include "model/backend.h"

#include <fmt/core.h>
#include <ggml-backend.h>
#include <ggml-cpu.h>
#include <ggml.h>

#include <chrono>
#include <mutex>

#include "model/ggml_log.h"
#include "tandem/error.h"

namespace tandem {

namespace {

template <typename Function>
Function procedure(ggml_backend_reg_t registry, const char* name) {
  return reinterpret_cast<Function>(ggml_backend_reg_get_proc_address(registry, name));
}

void load_plug_ins() {
  static std::once_flag once;
  std::call_once(once, [] {
    route_ggml_log();
    if (ggml_backend_dev_count() == 0) ggml_backend_load_all();
  });
}

}  // namespace

ggml_backend_dev_t find_device(const std::string& name) {
  load_plug_ins();
  if (name.empty()) {
    for (const auto type : {GGML_BACKEND_DEVICE_TYPE_GPU, GGML_BACKEND_DEVICE_TYPE_CPU}) {
      if (ggml_backend_dev_t device = ggml_backend_dev_by_type(type)) return device;
    }
    throw Error(ErrorCode::kNotFound, "ggml has no device: expected at least its CPU backend");
  }
  if (ggml_backend_dev_t device = ggml_backend_dev_by_name(name.c_str())) return device;
  std::string known;
  for (std::size_t i = 0; i < ggml_backend_dev_count(); ++i) {
    known += fmt::format("{}'{}'", known.empty() ? "" : ", ", ggml_backend_dev_name(ggml_backend_dev_get(i)));
  }
  throw Error(ErrorCode::kNotFound, fmt::format("device: expected one of {}, got '{}'", known, name));
}

std::vector<ggml_backend_buffer_type_t> extra_buffer_types(ggml_backend_dev_t device) {
  const auto list = procedure<ggml_backend_dev_get_extra_bufts_t>(ggml_backend_dev_backend_reg(device),
                                                                  "ggml_backend_dev_get_extra_bufts");
  std::vector<ggml_backend_buffer_type_t> types;
  if (list == nullptr) return types;
  for (ggml_backend_buffer_type_t* type = list(device); type != nullptr && *type != nullptr; ++type) {
    types.push_back(*type);
  }
  return types;
}

Backend::Backend(ggml_backend_dev_t device, int n_threads)
    : backend_(ggml_backend_dev_init(device, nullptr)) {
  if (!backend_) {
    throw Error(ErrorCode::kUnsupported,
                fmt::format("device '{}' cannot be used", ggml_backend_dev_name(device)));
  }
  ggml_backend_reg_t registry = ggml_backend_dev_backend_reg(device);
  if (const auto set = procedure<ggml_backend_set_n_threads_t>(registry, "ggml_backend_set_n_threads")) {
    set(backend_.get(), n_threads);
    keep_threads(registry, n_threads);
    if (n_threads > 1) waits_.emplace();
  }
}

Backend::~Backend() {
  backend_.reset();
  if (threads_ != nullptr) free_threads_(threads_);
}

void Backend::compute(ggml_cgraph* graph) {
  const auto start = std::chrono::steady_clock::now();
  if (ggml_backend_graph_compute(backend_.get(), graph) != GGML_STATUS_SUCCESS)
    throw Error(ErrorCode::kInternal, "the device could not compute the pass");
  if (waits_) waits_->note(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
}

void Backend::check(ggml_cgraph* graph) const {
  ggml_backend_dev_t device = ggml_backend_get_device(backend_.get());
  if (ggml_backend_dev_type(device) == GGML_BACKEND_DEVICE_TYPE_CPU) return;  // it has them all
  for (int i = 0; i < ggml_graph_n_nodes(graph); ++i) {
    const ggml_tensor* node = ggml_graph_node(graph, i);
    if (ggml_backend_dev_supports_op(device, node)) continue;
    throw Error(ErrorCode::kUnsupported,
                fmt::format("device '{}' cannot compute {} as this model or its cache needs it: expected one "
                            "that can, such as 'CPU'",
                            ggml_backend_dev_name(device), ggml_op_desc(node)));
  }
}

void Backend::keep_threads(ggml_backend_reg_t registry, int n_threads) {
  // Without a pool of its own the CPU backend makes one for every graph.
  const auto make = procedure<decltype(&ggml_threadpool_new)>(registry, "ggml_threadpool_new");
  const auto use =
      procedure<decltype(&ggml_backend_cpu_set_threadpool)>(registry, "ggml_backend_cpu_set_threadpool");
  free_threads_ = procedure<decltype(&ggml_threadpool_free)>(registry, "ggml_threadpool_free");
  if (make == nullptr || use == nullptr || free_threads_ == nullptr) return;
  ggml_threadpool_params params = ggml_threadpool_params_default(n_threads);
  threads_ = make(&params);
  if (threads_ != nullptr) use(backend_.get(), threads_);
}

}  // namespace tandem
