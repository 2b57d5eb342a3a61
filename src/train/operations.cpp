#include "train/operations.h"

#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/types.h>

#include <algorithm>

#include "tandem/error.h"
#include "train/kernels.h"

namespace tandem {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

ElementType element_type(const at::Tensor& tensor) {
  if (tensor.scalar_type() == at::kFloat) return ElementType::kFloat32;
  TANDEM_CHECK(tensor.scalar_type() == at::kBFloat16);
  return ElementType::kBfloat16;
}

/// Spreads rows of `elements_per_row` over the threads.
template <class F>
void for_rows(std::int64_t n_rows, std::int64_t elements_per_row, const F& work) {
  const std::int64_t grain = std::max<std::int64_t>(1, 16384 / std::max<std::int64_t>(1, elements_per_row));
  at::parallel_for(0, n_rows, grain, [&](std::int64_t begin, std::int64_t end) {
    work(RowRange{begin, end});
  });
}

struct GatePair {
  at::Tensor gate, up;  // [rows, width], of one stride
};

void run_gate(const at::Tensor& gate, const at::Tensor& up, const at::Tensor& out,
              GateActivation activation) {
  const GateKernel kernel{element_type(out), activation,    out.size(1),   gate.stride(0),
                          gate.data_ptr(),   up.data_ptr(), out.data_ptr()};
  for_rows(out.size(0), out.size(1), [&](RowRange rows) { gate_forward(kernel, rows); });
}

void run_gate_backward(const GatePair& in, const at::Tensor& d_out, const GatePair& gradient,
                       GateActivation activation) {
  const GateBackwardKernel kernel{
      element_type(d_out),   activation,       d_out.size(1),    in.gate.stride(0),
      in.gate.data_ptr(),    in.up.data_ptr(), d_out.data_ptr(), gradient.gate.data_ptr(),
      gradient.up.data_ptr()};
  for_rows(d_out.size(0), d_out.size(1), [&](RowRange rows) { gate_backward(kernel, rows); });
}

class AddRmsNorm : public torch::autograd::Function<AddRmsNorm> {
 public:
  static variable_list forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& delta,
                               const at::Tensor& gain, double epsilon, at::ScalarType type) {
    const bool has_delta = delta.numel() > 0;
    const std::int64_t n_rows = x.size(0), width = x.size(1);
    at::Tensor sum = has_delta ? at::empty_like(x) : x;
    at::Tensor out = at::empty({n_rows, width}, x.options().dtype(type));
    at::Tensor inverse_rms = at::empty({n_rows}, x.options());
    TANDEM_CHECK(x.is_contiguous() && delta.is_contiguous() && delta.scalar_type() == type);
    const RmsNormKernel kernel{element_type(out),
                               width,
                               static_cast<float>(epsilon),
                               x.data_ptr<float>(),
                               has_delta ? delta.data_ptr() : nullptr,
                               gain.data_ptr<float>(),
                               has_delta ? sum.data_ptr<float>() : nullptr,
                               out.data_ptr(),
                               inverse_rms.data_ptr<float>()};
    for_rows(n_rows, width, [&](RowRange rows) { rms_norm_forward(kernel, rows); });
    context->save_for_backward({sum, gain, inverse_rms});
    context->saved_data["has_delta"] = has_delta;
    context->set_materialize_grads(false);
    if (!has_delta) return {out};
    return {sum, out};
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &sum = saved[0], &gain = saved[1], &inverse_rms = saved[2];
    const bool has_delta = context->saved_data["has_delta"].toBool();
    const at::Tensor d_out = gradients.back().contiguous();
    const at::Tensor d_sum = has_delta && gradients[0].defined() ? gradients[0].contiguous() : at::Tensor();
    const std::int64_t n_rows = sum.size(0), width = sum.size(1);
    at::Tensor d_x = at::empty_like(sum);
    at::Tensor d_delta = has_delta ? at::empty_like(d_out) : at::Tensor();
    const RmsNormBackwardKernel kernel{element_type(d_out),
                                       width,
                                       sum.data_ptr<float>(),
                                       gain.data_ptr<float>(),
                                       inverse_rms.data_ptr<float>(),
                                       d_sum.defined() ? d_sum.data_ptr<float>() : nullptr,
                                       d_out.data_ptr(),
                                       d_x.data_ptr<float>(),
                                       has_delta ? d_delta.data_ptr() : nullptr};
    // One share of the gain's gradient per slice of rows, added up in order: the same sum whatever thread was
    // first.
    const std::int64_t n_slices = at::get_num_threads();
    at::Tensor d_gains = at::zeros({n_slices, width}, gain.options());
    at::parallel_for(0, n_slices, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t slice = begin; slice < end; ++slice) {
        const RowRange rows{n_rows * slice / n_slices, n_rows * (slice + 1) / n_slices};
        rms_norm_backward(kernel, rows, d_gains.data_ptr<float>() + slice * width);
      }
    });
    return {d_x, d_delta, gain.requires_grad() ? d_gains.sum(0) : at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

/// Gate and up side by side in one tensor.
class GateHalves : public torch::autograd::Function<GateHalves> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& gate_up, GateActivation activation) {
    const std::int64_t n_rows = gate_up.size(0), width = gate_up.size(1) / 2;
    at::Tensor out = at::empty({n_rows, width}, gate_up.options());
    run_gate(gate_up.narrow(1, 0, width), gate_up.narrow(1, width, width), out, activation);
    context->save_for_backward({gate_up});
    context->saved_data["activation"] = static_cast<std::int64_t>(activation);
    return out;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const at::Tensor gate_up = context->get_saved_variables()[0];
    const std::int64_t width = gate_up.size(1) / 2;
    at::Tensor d_gate_up = at::empty_like(gate_up);
    run_gate_backward({gate_up.narrow(1, 0, width), gate_up.narrow(1, width, width)},
                      gradients[0].contiguous(),
                      {d_gate_up.narrow(1, 0, width), d_gate_up.narrow(1, width, width)},
                      static_cast<GateActivation>(context->saved_data["activation"].toInt()));
    return {d_gate_up, at::Tensor()};
  }
};

class Gate : public torch::autograd::Function<Gate> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& gate, const at::Tensor& up,
                            GateActivation activation) {
    TANDEM_CHECK(gate.is_contiguous() && up.is_contiguous() && gate.sizes() == up.sizes());
    at::Tensor out = at::empty_like(gate);
    run_gate(gate, up, out, activation);
    context->save_for_backward({gate, up});
    context->saved_data["activation"] = static_cast<std::int64_t>(activation);
    return out;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    at::Tensor d_gate = at::empty_like(saved[0]), d_up = at::empty_like(saved[1]);
    run_gate_backward({saved[0], saved[1]}, gradients[0].contiguous(), {d_gate, d_up},
                      static_cast<GateActivation>(context->saved_data["activation"].toInt()));
    return {d_gate, d_up, at::Tensor()};
  }
};

/// One of q, k, v: `first` .. of `n_slices` head-sized slices of a packed row.
struct Turn {
  at::Tensor cosine, sine;  // undefined: none
  RotatedPairs pairs = RotatedPairs::kNeighbours;
};
HeadsKernel heads_kernel(const at::Tensor& packed, std::int64_t first, const at::Tensor& padded,
                         const at::Tensor& place, const Turn& turn) {
  const std::int64_t head_dim = padded.size(3);
  const std::int64_t n_slices = packed.size(1) / head_dim;
  return {element_type(packed),
          n_slices,
          first,
          padded.size(1),
          head_dim,
          padded.size(2),
          place.data_ptr<std::int32_t>(),
          turn.pairs,
          turn.cosine.defined() ? 2 * turn.cosine.size(1) : 0,
          turn.cosine.defined() ? turn.cosine.data_ptr<float>() : nullptr,
          turn.sine.defined() ? turn.sine.data_ptr<float>() : nullptr,
          packed.data_ptr(),
          padded.data_ptr()};
}

void scatter(const HeadsKernel& kernel, std::int64_t n_rows) {
  for_rows(n_rows, kernel.n_heads * kernel.head_dim, [&](RowRange rows) { scatter_heads(kernel, rows); });
}

void gather(const HeadsKernel& kernel, std::int64_t n_rows) {
  for_rows(n_rows, kernel.n_heads * kernel.head_dim, [&](RowRange rows) { gather_heads(kernel, rows); });
}

class SplitHeads : public torch::autograd::Function<SplitHeads> {
 public:
  static variable_list forward(AutogradContext* context, const at::Tensor& qkv, const at::Tensor& place,
                               const at::Tensor& cosine, const at::Tensor& sine, at::IntArrayRef sizes) {
    const std::int64_t n_sequences = sizes[0], n_places = sizes[1], n_heads = sizes[2], n_kv_heads = sizes[3];
    const std::int64_t head_dim = qkv.size(1) / (n_heads + 2 * n_kv_heads), n_rows = qkv.size(0);
    at::Tensor q = at::zeros({n_sequences, n_heads, n_places, head_dim}, qkv.options());
    at::Tensor k = at::zeros({n_sequences, n_kv_heads, n_places, head_dim}, qkv.options());
    at::Tensor v = at::zeros_like(k);
    scatter(heads_kernel(qkv, 0, q, place, {cosine, sine}), n_rows);
    scatter(heads_kernel(qkv, n_heads, k, place, {cosine, sine}), n_rows);
    scatter(heads_kernel(qkv, n_heads + n_kv_heads, v, place, {}), n_rows);
    context->save_for_backward({place, cosine, sine});
    return {q, k, v};
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &place = saved[0], &cosine = saved[1], &sine = saved[2];
    const at::Tensor q = gradients[0].contiguous(), k = gradients[1].contiguous(),
                     v = gradients[2].contiguous();
    const std::int64_t n_rows = place.size(0), n_heads = q.size(1), n_kv_heads = k.size(1);
    at::Tensor d_qkv = at::empty({n_rows, (n_heads + 2 * n_kv_heads) * q.size(3)}, q.options());
    gather(heads_kernel(d_qkv, 0, q, place, {cosine, sine}), n_rows);
    gather(heads_kernel(d_qkv, n_heads, k, place, {cosine, sine}), n_rows);
    gather(heads_kernel(d_qkv, n_heads + n_kv_heads, v, place, {}), n_rows);
    return {d_qkv, at::Tensor(), at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

class PlaceHeads : public torch::autograd::Function<PlaceHeads> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& packed, const AttentionPlaces& places,
                            std::int64_t n_heads) {
    const std::int64_t head_dim = packed.size(1) / n_heads;
    at::Tensor padded = at::zeros({places.n_sequences, n_heads, places.n_places, head_dim}, packed.options());
    const Turn turn{places.cosine, places.sine, places.pairs};
    scatter(heads_kernel(packed, 0, padded, places.place, turn), packed.size(0));
    const at::Tensor none = at::empty({0}, at::kFloat);
    context->save_for_backward(
        {places.place, turn.cosine.defined() ? turn.cosine : none, turn.sine.defined() ? turn.sine : none});
    context->saved_data["pairs"] = static_cast<std::int64_t>(places.pairs);
    return padded;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor& place = saved[0];
    const bool turns = saved[1].numel() > 0;
    const Turn turn{turns ? saved[1] : at::Tensor(), turns ? saved[2] : at::Tensor(),
                    static_cast<RotatedPairs>(context->saved_data["pairs"].toInt())};
    const at::Tensor d_padded = gradients[0].contiguous();
    at::Tensor d_packed = at::empty({place.size(0), d_padded.size(1) * d_padded.size(3)}, d_padded.options());
    gather(heads_kernel(d_packed, 0, d_padded, place, turn), place.size(0));
    return {d_packed, at::Tensor(), at::Tensor()};
  }
};

class MergeHeads : public torch::autograd::Function<MergeHeads> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& padded, const at::Tensor& place) {
    TANDEM_CHECK(padded.is_contiguous());
    at::Tensor packed = at::empty({place.size(0), padded.size(1) * padded.size(3)}, padded.options());
    gather(heads_kernel(packed, 0, padded, place, {}), place.size(0));
    context->save_for_backward({place});
    context->saved_data["sizes"] = padded.sizes().vec();
    return packed;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const at::Tensor place = context->get_saved_variables()[0];
    const at::Tensor d_packed = gradients[0].contiguous();
    at::Tensor d_padded = at::zeros(context->saved_data["sizes"].toIntVector(), d_packed.options());
    scatter(heads_kernel(d_packed, 0, d_padded, place, {}), place.size(0));
    return {d_padded, at::Tensor()};
  }
};

class MaskedSoftmax : public torch::autograd::Function<MaskedSoftmax> {
 public:
  static at::Tensor forward(AutogradContext* context, at::Tensor scores, const at::Tensor& mask,
                            double scale) {
    TANDEM_CHECK(scores.is_contiguous() && mask.is_contiguous());
    const std::int64_t n_places = scores.size(3);
    const MaskedSoftmaxKernel kernel{element_type(scores),      scores.size(1),         n_places,
                                     static_cast<float>(scale), mask.data_ptr<float>(), scores.data_ptr()};
    for_rows(scores.numel() / n_places, n_places,
             [&](RowRange rows) { masked_softmax_forward(kernel, rows); });
    context->mark_dirty({scores});
    context->save_for_backward({scores});
    context->saved_data["scale"] = scale;
    return scores;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const at::Tensor probabilities = context->get_saved_variables()[0];
    at::Tensor gradient = gradients[0].is_contiguous() ? gradients[0].clone() : gradients[0].contiguous();
    const std::int64_t n_places = probabilities.size(3);
    const MaskedSoftmaxBackwardKernel kernel{element_type(probabilities), n_places,
                                             static_cast<float>(context->saved_data["scale"].toDouble()),
                                             probabilities.data_ptr(), gradient.data_ptr()};
    for_rows(gradient.numel() / n_places, n_places,
             [&](RowRange rows) { masked_softmax_backward(kernel, rows); });
    return {gradient, at::Tensor(), at::Tensor()};
  }
};

class CrossEntropy : public torch::autograd::Function<CrossEntropy> {
 public:
  static variable_list forward(AutogradContext* context, const at::Tensor& logits, const at::Tensor& labels,
                               double smoothing, double divisor) {
    TANDEM_CHECK(logits.is_contiguous() && labels.scalar_type() == at::kInt);
    const std::int64_t n_rows = logits.size(0), n_classes = logits.size(1);
    at::Tensor loss = at::empty({n_rows}, logits.options().dtype(at::kFloat));
    at::Tensor plain = at::empty_like(loss);
    const CrossEntropyKernel kernel{element_type(logits),
                                    n_classes,
                                    static_cast<float>(smoothing),
                                    static_cast<float>(1.0 / divisor),
                                    labels.data_ptr<std::int32_t>(),
                                    logits.data_ptr(),
                                    loss.data_ptr<float>(),
                                    plain.data_ptr<float>()};
    for_rows(n_rows, n_classes, [&](RowRange rows) { cross_entropy(kernel, rows); });
    context->saved_data["gradient"] = logits.detach();
    context->mark_non_differentiable({plain});
    return {loss.sum().div(divisor), plain};
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    at::Tensor gradient = context->saved_data["gradient"].toTensor();
    if (gradients[0].item<float>() != 1.0F) gradient = gradient.mul(gradients[0].to(gradient.scalar_type()));
    return {gradient, at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

}  // namespace

NormOutput add_rms_norm(const at::Tensor& x, const at::Tensor& delta, const at::Tensor& gain, float epsilon,
                        at::ScalarType type) {
  // An operation cannot take an undefined tensor: an empty one stands for it.
  const at::Tensor added =
      delta.defined() ? delta : at::empty({0}, x.options().dtype(type).requires_grad(false));
  const variable_list out = AddRmsNorm::apply(x, added, gain, static_cast<double>(epsilon), type);
  return delta.defined() ? NormOutput{out[0], out[1]} : NormOutput{x, out[0]};
}

at::Tensor gate_halves(const at::Tensor& gate_up, GateActivation activation) {
  return GateHalves::apply(gate_up.contiguous(), activation);
}

at::Tensor gate(const at::Tensor& gate, const at::Tensor& up, GateActivation activation) {
  return Gate::apply(gate.contiguous(), up.contiguous(), activation);
}

Heads split_heads(const at::Tensor& qkv, const AttentionPlaces& places, std::int64_t n_heads,
                  std::int64_t n_kv_heads) {
  const std::int64_t sizes[] = {places.n_sequences, places.n_places, n_heads, n_kv_heads};
  const variable_list heads =
      SplitHeads::apply(qkv.contiguous(), places.place, places.cosine, places.sine, at::IntArrayRef(sizes));
  return {heads[0], heads[1], heads[2]};
}

at::Tensor place_heads(const at::Tensor& packed, const AttentionPlaces& places, std::int64_t n_heads) {
  return PlaceHeads::apply(packed.contiguous(), places, n_heads);
}

at::Tensor merge_heads(const at::Tensor& padded, const AttentionPlaces& places) {
  return MergeHeads::apply(padded.contiguous(), places.place);
}

at::Tensor masked_softmax(const at::Tensor& scores, const at::Tensor& mask, float scale) {
  return MaskedSoftmax::apply(scores, mask, static_cast<double>(scale));
}

CrossEntropyOutput smoothed_cross_entropy(const at::Tensor& logits, const at::Tensor& labels, float smoothing,
                                          double divisor) {
  const variable_list out = CrossEntropy::apply(logits, labels, static_cast<double>(smoothing), divisor);
  return {out[0], out[1]};
}

}  // namespace tandem
