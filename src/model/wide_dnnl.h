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
/// rows x a panel of n_in. Needs a OneThread around it, here and where the primitive is made. `panel` tells
/// the layout of the weights; the default lets oneDNN choose.
dnnl::matmul::primitive_desc panel_product(int n_in, int n_rows, const dnnl::memory::desc* panel = nullptr);
/// The layout of a panel, for any number of rows.
const dnnl::memory::desc& panel_layout(int n_in);

}  // namespace tandem
