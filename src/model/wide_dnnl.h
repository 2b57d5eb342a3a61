// What the two wide files share of oneDNN; no other file sees it.
#pragma once

#include <omp.h>

#include <oneapi/dnnl/dnnl.hpp>

namespace tandem {

/// ggml spreads the work; oneDNN's own threads would only be in its way.
class OneThread {
 public:
  OneThread() : before_(omp_get_max_threads()) { omp_set_num_threads(1); }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;
  ~OneThread() { omp_set_num_threads(before_); }

 private:
  int before_;
};

const dnnl::engine& cpu_engine();
/// How `n_panels` that stand one after the other lie: as one matrix, blocks of 64 outputs outermost. oneDNN
/// chooses this itself for 64 outputs.
dnnl::memory::desc panel_layout(int n_in, int n_panels = 1);

}  // namespace tandem
