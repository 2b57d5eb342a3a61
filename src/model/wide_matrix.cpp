#include "model/wide_matrix.h"

#include <algorithm>
#include <new>
#include <vector>

#include "model/wide_dnnl.h"

namespace tandem {

namespace {

using dnnl::memory;
constexpr std::size_t kAlignment = 64;  // a cache line, and a register of AVX-512

}  // namespace

const dnnl::engine& cpu_engine() {
  static const dnnl::engine kEngine(dnnl::engine::kind::cpu, 0);
  return kEngine;
}

memory::desc panel_layout(int n_in, int n_panels) {
  return {{n_in, WideMatrix::kPanel * n_panels}, memory::data_type::bf16, memory::format_tag::BA16a64b2a};
}

bool has_wide_products() {
  const auto with_bf16 = static_cast<unsigned>(dnnl::cpu_isa::avx512_core_bf16);
  return (static_cast<unsigned>(dnnl::get_effective_cpu_isa()) & with_bf16) == with_bf16;
}

void WideMatrix::Free::operator()(std::byte* bytes) const {
  ::operator delete[](bytes, std::align_val_t{kAlignment});
}

WideMatrix::WideMatrix(int n_in, int n_out, const ReadRow& read_row) : n_in_(n_in), n_out_(n_out) {
  const OneThread alone;
  const memory::desc layout = panel_layout(n_in_);
  panel_bytes_ = layout.get_size();
  bytes_.reset(static_cast<std::byte*>(::operator new[](n_bytes(), std::align_val_t{kAlignment})));

  const auto width = static_cast<std::size_t>(n_in_);
  std::vector<float> rows(width * kPanel);
  memory plain({{n_in_, kPanel}, memory::data_type::f32, memory::format_tag::ba}, cpu_engine(), rows.data());
  dnnl::stream stream(cpu_engine());
  for (int i = 0; i < n_panels(); ++i) {
    std::fill(rows.begin(), rows.end(), 0.0F);
    for (int row = 0; row < std::min(kPanel, n_out_ - kPanel * i); ++row)
      read_row(kPanel * i + row, std::span(rows).subspan(width * static_cast<std::size_t>(row), width));
    memory packed(layout, cpu_engine(), bytes_.get() + panel_bytes_ * static_cast<std::size_t>(i));
    dnnl::reorder(plain, packed).execute(stream, plain, packed);
  }
}

}  // namespace tandem
