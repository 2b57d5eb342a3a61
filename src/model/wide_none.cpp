// A build without oneDNN: no matrix has a wide copy, so nothing multiplies with one.
#include "model/wide_matrix.h"
#include "model/wide_product.h"
#include "tandem/error.h"

namespace tandem {

bool has_wide_products() {
  return false;
}

void WideMatrix::Free::operator()(std::byte*) const {}

WideMatrix::WideMatrix(int, int, const ReadRow&) {
  throw Error(ErrorCode::kUnsupported, "wide copies: this build has no oneDNN");
}

struct WideProducts::Impl {};
WideProducts::WideProducts(int) {}
WideProducts::~WideProducts() = default;
void WideProducts::begin() {}
void WideProducts::forget_matrices() {}

ggml_tensor* WideProducts::product(ggml_context*, const WideMatrix&, ggml_tensor*) {
  throw Error(ErrorCode::kUnsupported, "wide products: this build has no oneDNN");
}

}  // namespace tandem
