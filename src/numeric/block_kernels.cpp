#include "numeric/block_kernels.h"

#include "numeric/x86_kernels.h"

namespace tandem {

std::vector<BlockKernel> block_kernels() {
  std::vector<BlockKernel> kernels;
#ifdef __x86_64__
  for (const auto& find : {vnni_kernels, avx2_kernels})
    for (const BlockKernel& kernel : find()) kernels.push_back(kernel);
#endif
  return kernels;
}

}  // namespace tandem
