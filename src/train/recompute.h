// Activation checkpointing: a part of the network whose intermediate values are not kept for the backward
// pass but calculated again there (Chen et al., arXiv 1604.06174). Costs one more forward pass of that part.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <vector>

namespace tandem {

using TensorFunction = std::function<std::vector<at::Tensor>(const std::vector<at::Tensor>&)>;

/// part(inputs), keeping only the inputs. Parameters that `part` captures get their gradients as usual;
/// random numbers that it draws (dropout) are drawn again alike.
std::vector<at::Tensor> recomputed(const TensorFunction& part, const std::vector<at::Tensor>& inputs);

}  // namespace tandem
