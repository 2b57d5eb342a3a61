#include "train/trainable_decoder.h"

namespace tandem {

at::Tensor TrainableDecoder::make_leaf(std::int64_t offset, at::IntArrayRef sizes) {
  const std::int64_t length = c10::multiply_integers(sizes);
  at::Tensor leaf = flat_.narrow(0, offset, length).view(sizes).detach();
  leaf.set_requires_grad(true);
  leaf.mutable_grad() = gradients_.narrow(0, offset, length).view(sizes);
  leaves_.push_back(leaf);
  return leaf;
}

}  // namespace tandem
