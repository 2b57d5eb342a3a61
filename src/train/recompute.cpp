#include "train/recompute.h"

#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/custom_class.h>
#include <torch/utils.h>

#include "train/dropout.h"

namespace tandem {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct Part : torch::CustomClassHolder {
  Part(TensorFunction f, at::Tensor state) : function(std::move(f)), random_state(std::move(state)) {}
  TensorFunction function;
  at::Tensor random_state;
};

class Recompute : public torch::autograd::Function<Recompute> {
 public:
  static variable_list forward(AutogradContext* context, at::TensorList inputs, const TensorFunction& part) {
    context->saved_data["part"] =
        at::IValue::make_capsule(c10::make_intrusive<Part>(part, dropout_generator().get_state()));
    context->save_for_backward(inputs.vec());
    return part(inputs.vec());  // without gradients: a Function's forward is not recorded
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto part = c10::static_intrusive_pointer_cast<Part>(context->saved_data["part"].toCapsule());
    variable_list inputs;
    for (const at::Tensor& saved : context->get_saved_variables()) {
      inputs.push_back(saved.detach().requires_grad_(saved.requires_grad()));
    }
    at::Generator& random = dropout_generator();
    const at::Tensor state_now = random.get_state();
    random.set_state(part->random_state);
    variable_list outputs;
    {
      const at::AutoGradMode with_gradients(true);
      outputs = part->function(inputs);
    }
    random.set_state(state_now);
    torch::autograd::backward(outputs, gradients);
    variable_list out;
    for (const at::Tensor& input : inputs) out.push_back(input.grad());
    out.emplace_back();  // of `part`
    return out;
  }
};

}  // namespace

std::vector<at::Tensor> recomputed(const TensorFunction& part, const std::vector<at::Tensor>& inputs) {
  return Recompute::apply(at::TensorList(inputs), part);
}

}  // namespace tandem
