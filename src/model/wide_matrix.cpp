#include "model/wide_matrix.h"

#include <ggml.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <mutex>
#include <new>
#include <vector>

#include "model/gguf_file.h"
#include "model/wide_dnnl.h"
#include "tandem/error.h"

namespace tandem {

namespace {

using dnnl::memory;
constexpr std::size_t kAlignment = 64;  // a cache line, and a register of AVX-512

}  // namespace

const dnnl::engine& cpu_engine() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

dnnl::matmul::primitive_desc panel_product(int n_in, int n_rows, const memory::desc* panel) {
  const memory::desc inputs({n_rows, n_in}, memory::data_type::bf16, memory::format_tag::ab);
  const memory::desc weights({n_in, WideMatrix::kPanel}, memory::data_type::bf16, memory::format_tag::any);
  const memory::desc outputs({n_rows, WideMatrix::kPanel}, memory::data_type::f32, memory::format_tag::ab);
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(
      dnnl::scratchpad_mode::user);  // the library's own would be shared by threads
  return {{inputs, panel == nullptr ? weights : *panel, outputs}, attributes, cpu_engine()};
}

const memory::desc& panel_layout(int n_in) {
  static std::mutex mutex;
  static std::map<int, memory::desc> layouts;
  const std::lock_guard lock(mutex);
  const auto known = layouts.find(n_in);
  if (known != layouts.end()) return known->second;
  constexpr int kManyRows = 64;
  return layouts.emplace(n_in, panel_product(n_in, kManyRows).weights_desc()).first->second;
}

bool has_wide_products() {
  const auto with_bf16 = static_cast<unsigned>(dnnl::cpu_isa::avx512_core_bf16);
  return (static_cast<unsigned>(dnnl::get_effective_cpu_isa()) & with_bf16) == with_bf16;
}

bool WideMatrix::suits(const StoredTensor& stored) {
  constexpr std::int64_t kBlock = 32;  // of inputs: every quantised type's blocks hold so many, or more
  const bool is_rounded_anyway =
      ggml_is_quantized(static_cast<ggml_type>(stored.type)) || stored.type == GGML_TYPE_BF16;
  return is_rounded_anyway && stored.shape[0] % kBlock == 0;
}

void WideMatrix::Free::operator()(std::byte* bytes) const {
  ::operator delete[](bytes, std::align_val_t{kAlignment});
}

WideMatrix::WideMatrix(const StoredTensor& stored)
    : n_in_(static_cast<int>(stored.shape[0])), n_out_(static_cast<int>(stored.shape[1])) {
  TANDEM_CHECK(suits(stored));
  const OneThread alone;
  const memory::desc& layout = panel_layout(n_in_);
  panel_bytes_ = layout.get_size();
  bytes_.reset(static_cast<std::byte*>(::operator new[](n_bytes(), std::align_val_t{kAlignment})));

  const auto type = static_cast<ggml_type>(stored.type);
  const std::size_t row_bytes = ggml_row_size(type, n_in_);
  const auto n_in = static_cast<std::size_t>(n_in_);
  std::vector<float> rows(n_in * kPanel);
  memory plain({{n_in_, kPanel}, memory::data_type::f32, memory::format_tag::ba}, cpu_engine(), rows.data());
  dnnl::stream stream(cpu_engine());
  for (int i = 0; i < n_panels(); ++i) {
    const int n_rows = std::min(kPanel, n_out_ - kPanel * i);
    for (int row = 0; row < n_rows; ++row) {
      const std::byte* from = stored.data.data() + row_bytes * static_cast<std::size_t>(kPanel * i + row);
      ggml_get_type_traits(type)->to_float(from, rows.data() + n_in * static_cast<std::size_t>(row), n_in_);
    }
    std::fill(rows.begin() + static_cast<std::ptrdiff_t>(n_in) * n_rows, rows.end(), 0.0F);
    memory packed(layout, cpu_engine(), bytes_.get() + panel_bytes_ * static_cast<std::size_t>(i));
    dnnl::reorder(plain, packed).execute(stream, plain, packed);
  }
}

}  // namespace tandem
