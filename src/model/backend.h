// The device that computes, through ggml's registry: the CPU always, a GPU where ggml was built with one.
// Nothing here names a kind of GPU, and backends that ggml loads as plug-ins are found the same way.
#pragma once

#include <ggml-cpp.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "model/thread_waits.h"

struct ggml_threadpool;

namespace tandem {

/// The device named, or, for an empty name, the first GPU there is, else the CPU.
/// Throws Error{kNotFound} listing the devices that there are.
ggml_backend_dev_t find_device(const std::string& name);

/// Buffer types in which the device lays out weights its own way (repacked for its matrix kernels), best
/// first.
std::vector<ggml_backend_buffer_type_t> extra_buffer_types(ggml_backend_dev_t device);

/// One stream of computation with threads of its own, kept between passes.
class Backend {
 public:
  Backend(ggml_backend_dev_t device, int n_threads);
  Backend(const Backend&) = delete;
  Backend& operator=(const Backend&) = delete;
  ~Backend();

  ggml_backend_t get() const { return backend_.get(); }
  ggml_backend_buffer_type_t buffer_type() const {
    return ggml_backend_get_default_buffer_type(backend_.get());
  }
  /// Throws Error{kInternal} if the device fails.
  void compute(ggml_cgraph* graph);
  /// Throws Error{kUnsupported} if the device cannot compute some node, of which it would make an abort.
  void check(ggml_cgraph* graph) const;
  bool is_host() const { return ggml_backend_buft_is_host(buffer_type()); }

 private:
  void keep_threads(ggml_backend_reg_t registry, int n_threads);

  ggml_threadpool* threads_ = nullptr;  // outlived by nothing that uses it: backend_ goes first
  void (*free_threads_)(ggml_threadpool*) = nullptr;
  ggml_backend_ptr backend_;
  std::optional<ThreadWaits> waits_;  // where threads wait for one another
};

}  // namespace tandem
