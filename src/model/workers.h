// The backend's threads for work that is no product: what comes between two passes.
#pragma once

#include <ggml-cpp.h>

#include <atomic>
#include <exception>
#include <functional>
#include <mutex>

namespace tandem {

class Backend;

/// A graph of one node that runs whatever it is given, so that the threads that compute are the only ones.
class Workers {
 public:
  /// The backend must outlive it.
  explicit Workers(const Backend& backend);
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  /// Calls work(0) to work(n - 1), each once, whichever thread is free taking the next; on the caller's alone
  /// where the device has no threads. Rethrows the first that was thrown, when all have ended.
  void share_out(int n, const std::function<void(int)>& work);

 private:
  static void run(ggml_tensor* node, int thread, int n_threads, void* workers);
  void take_turns() noexcept;

  ggml_backend_t backend_;
  ggml_context_ptr context_;
  ggml_backend_buffer_ptr buffer_;
  ggml_cgraph* graph_ = nullptr;  // null: no threads

  // Of the work under way.
  const std::function<void(int)>* work_ = nullptr;
  int n_ = 0;
  std::atomic<int> next_ = 0;
  std::mutex failing_;
  std::exception_ptr failure_;
};

}  // namespace tandem
