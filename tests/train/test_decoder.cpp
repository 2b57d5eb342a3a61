// The decoder: its fused operations against their equations in plain torch, values and gradients, and what
// the mask promises about who depends on whom.
#include <ATen/Functions.h>
#include <gtest/gtest.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <cmath>
#include <functional>
#include <limits>
#include <map>

#include "train/operations.h"
#include "train/scratch_decoder.h"
#include "training_examples.h"

namespace tandem {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// Largest difference; infinite if anything is not finite.
double distance(const at::Tensor& a, const at::Tensor& b) {
  const at::Tensor difference = (a.to(at::kDouble) - b.to(at::kDouble)).abs();
  return at::isfinite(difference).all().item<bool>() ? difference.max().item<double>() : kInfinity;
}

at::Tensor random_leaf(at::IntArrayRef sizes, at::ScalarType type = at::kFloat) {
  return torch::randn(sizes).to(type).detach().requires_grad_(true);
}

/// Values and gradients of both, with the same weights on the outputs.
void expect_same(const std::vector<at::Tensor>& leaves, const std::function<at::Tensor()>& fused,
                 const std::function<at::Tensor()>& plain, double tolerance) {
  const at::Tensor expected = plain();
  const at::Tensor weights = torch::randn(expected.sizes());
  const auto gradients_of = [&](const at::Tensor& out) {
    for (at::Tensor leaf : leaves) leaf.mutable_grad() = at::Tensor();
    (out.to(at::kFloat) * weights).sum().backward();
    std::vector<at::Tensor> gradients;
    for (const at::Tensor& leaf : leaves) gradients.push_back(leaf.grad().clone());
    return gradients;
  };
  const auto expected_gradients = gradients_of(expected);
  const at::Tensor got = fused();
  EXPECT_LT(distance(got, expected), tolerance);
  const auto got_gradients = gradients_of(got);
  for (std::size_t i = 0; i < leaves.size(); ++i) {
    EXPECT_LT(distance(got_gradients[i], expected_gradients[i]), tolerance) << "gradient " << i;
  }
}

class Operations : public testing::TestWithParam<at::ScalarType> {
 protected:
  void SetUp() override { torch::manual_seed(4); }
  // bfloat16 has 8 bits; sums of a few tens of terms of size 1.
  double tolerance() const { return GetParam() == at::kFloat ? 2e-5 : 6e-2; }
};

TEST_P(Operations, AddRmsNormIsItsEquation) {
  const at::Tensor x = random_leaf({37, 24}), delta = random_leaf({37, 24}, GetParam()),
                   gain = random_leaf({24});
  const auto normalise = [&](const at::Tensor& sum) {
    return sum * at::rsqrt(sum.pow(2).mean(-1, true) + 1e-5) * gain;
  };
  // Both outputs are used, as the residual stream is.
  expect_same(
      {x, delta, gain},
      [&] {
        const NormOutput out = add_rms_norm(x, delta, gain, 1e-5F, GetParam());
        return out.sum * 0.5 + out.out;
      },
      [&] {
        const at::Tensor sum = x + delta;
        return sum * 0.5 + normalise(sum);
      },
      tolerance());
  expect_same(
      {x, gain}, [&] { return add_rms_norm(x, {}, gain, 1e-5F, GetParam()).out; },
      [&] { return normalise(x); }, tolerance());
}

TEST_P(Operations, GatesAreTheirEquation) {
  const at::Tensor gate_up = random_leaf({19, 2 * 40}, GetParam());
  const auto plain = [&](bool is_gelu) {
    const at::Tensor wide = gate_up.to(at::kFloat), inner = wide.narrow(1, 0, 40);
    return (is_gelu ? at::gelu(inner, "tanh") : at::silu(inner)) * wide.narrow(1, 40, 40);
  };
  for (const GateActivation activation : {GateActivation::kSilu, GateActivation::kGelu}) {
    const bool is_gelu = activation == GateActivation::kGelu;
    expect_same(
        {gate_up}, [&] { return gate_halves(gate_up, activation); }, [&] { return plain(is_gelu); },
        tolerance());
    expect_same(
        {gate_up}, [&] { return gate(gate_up.narrow(1, 0, 40), gate_up.narrow(1, 40, 40), activation); },
        [&] { return plain(is_gelu); }, tolerance());
  }
}

TEST_P(Operations, HeadsTurnInHalvesAndOnlyTheirFirstDimensions) {
  // One sequence of 3 rows, 2 heads of 10 of which 8 are turned: dimension i with i + 4.
  AttentionPlaces places{1, 3, torch::tensor({0, 1, 2}, at::kInt), {}, {}, RotatedPairs::kHalves};
  const at::Tensor angles = torch::randn({3, 4});
  places.cosine = angles.cos();
  places.sine = angles.sin();
  const at::Tensor packed = random_leaf({3, 2 * 10}, GetParam());
  expect_same(
      {packed}, [&] { return place_heads(packed, places, 2); },
      [&] {
        const at::Tensor heads = packed.to(at::kFloat).reshape({3, 2, 10});
        const at::Tensor a = heads.narrow(2, 0, 4), b = heads.narrow(2, 4, 4);
        const at::Tensor c = places.cosine.unsqueeze(1), s = places.sine.unsqueeze(1);
        return at::cat({a * c - b * s, a * s + b * c, heads.narrow(2, 8, 2)}, 2).transpose(0, 1).unsqueeze(0);
      },
      tolerance());
  places.cosine = places.sine = at::Tensor();
  expect_same(
      {packed}, [&] { return place_heads(packed, places, 2); },
      [&] {
        return packed.to(at::kFloat).reshape({1, 3, 2, 10}).transpose(1, 2);
      },
      tolerance());
}

TEST_P(Operations, HeadsAreRotatedIntoTheirPlacesAndBack) {
  // Two sequences of 3 and 2 rows in squares of 3; 4 heads of q, 2 of k and v.
  const std::int64_t hd = 6;
  AttentionPlaces places{2, 3, torch::tensor({0, 1, 2, 3, 4}, at::kInt), {}, {}};
  const at::Tensor angles = torch::randn({5, hd / 2});
  places.cosine = angles.cos();
  places.sine = angles.sin();
  const at::Tensor qkv = random_leaf({5, 8 * hd}, GetParam());
  const auto rotate = [&](const at::Tensor& heads) {  // [5, n, hd], as complex numbers
    const at::Tensor pairs = heads.reshape({5, -1, hd / 2, 2});
    const at::Tensor a = pairs.select(3, 0), b = pairs.select(3, 1);
    const at::Tensor c = places.cosine.unsqueeze(1), s = places.sine.unsqueeze(1);
    return at::stack({a * c - b * s, a * s + b * c}, 3).reshape({5, -1, hd});
  };
  const auto pad = [&](const at::Tensor& rows) {  // [5, n, hd] -> [2, n, 3, hd]
    return at::cat({rows, at::zeros({1, rows.size(1), hd})}).reshape({2, 3, -1, hd}).transpose(1, 2);
  };
  expect_same(
      {qkv},
      [&] {
        const Heads heads = split_heads(qkv, places, 4, 2);
        return at::cat({heads.q, heads.k, heads.v}, 1).to(at::kFloat);
      },
      [&] {
        const at::Tensor slices = qkv.to(at::kFloat).reshape({5, 8, hd});
        return at::cat({pad(rotate(slices.narrow(1, 0, 4))), pad(rotate(slices.narrow(1, 4, 2))),
                        pad(slices.narrow(1, 6, 2))},
                       1);
      },
      tolerance());
  const at::Tensor padded = random_leaf({2, 4, 3, hd}, GetParam());
  expect_same(
      {padded}, [&] { return merge_heads(padded, places); },
      [&] {
        return padded.to(at::kFloat).transpose(1, 2).reshape({6, 4 * hd}).narrow(0, 0, 5);
      },
      tolerance());
}

TEST_P(Operations, MaskedSoftmaxIsItsEquationAndPaddingIsZero) {
  const at::Tensor scores = random_leaf({2, 3, 17, 17}, GetParam());
  at::Tensor mask = at::zeros({2, 17, 17});
  mask.masked_fill_(torch::rand({2, 17, 17}) > 0.6, -kInfinity);
  mask.select(2, 0).zero_();
  const auto fused = [&](const at::Tensor& m) {
    return masked_softmax(scores.mul(1.0), m, 0.3F);  // works in place: on a copy
  };
  expect_same(
      {scores}, [&] { return fused(mask); },
      [&] { return at::softmax(scores.to(at::kFloat) * 0.3 + mask.unsqueeze(1), -1); }, tolerance());
  EXPECT_EQ(fused(at::full({2, 17, 17}, -kInfinity)).abs().max().item<float>(), 0.0F);
}

TEST_P(Operations, CrossEntropyIsItsEquation) {
  const at::Tensor logits = random_leaf({11, 50}, GetParam());
  const at::Tensor labels = torch::randint(50, {11}, at::kInt);
  const auto plain = [&] {
    const at::Tensor log_p = at::log_softmax(logits.to(at::kFloat), -1);
    const at::Tensor picked = log_p.gather(1, labels.to(at::kLong).unsqueeze(1)).squeeze(1);
    return (-(0.9 * picked) - 0.1 * log_p.mean(-1)).sum() / 7.0;
  };
  expect_same(
      {logits}, [&] { return smoothed_cross_entropy(logits.mul(1.0), labels, 0.1F, 7.0).loss; }, plain,
      tolerance());
  const at::Tensor per_row = smoothed_cross_entropy(logits.mul(1.0), labels, 0.1F, 7.0).plain;
  EXPECT_LT(distance(per_row,
                     at::nll_loss(at::log_softmax(logits.to(at::kFloat), -1), labels.to(at::kLong), {}, 0)),
            tolerance());
}

INSTANTIATE_TEST_SUITE_P(Types, Operations, testing::Values(at::kFloat, at::kBFloat16),
                         [](const auto& instance) {
                           return instance.param == at::kFloat ? "float32" : "bfloat16";
                         });

DecoderShape small_shape() {
  DecoderShape shape;
  shape.n_layers = 2;
  shape.width = 32;
  shape.n_heads = 4;
  shape.n_kv_heads = 2;
  shape.ff_width = 48;
  shape.vocabulary_size = 40;
  return shape;
}

/// Every row gets a label, so that every row's logits come out: [rows, vocabulary].
at::Tensor logits_of_all_rows(ScratchDecoder& decoder, std::vector<LaidOutExample> examples) {
  torch::NoGradGuard no_grad;
  for (LaidOutExample& example : examples) example.labels.assign(example.rows.size(), 0);
  return decoder.logits(pack(examples)).to(at::kFloat);
}

LaidOutExample lay_out(const Example& example, BoundaryRows boundary) {
  TrainConfig config;
  config.ks = {WaitK(1)};
  config.boundary = boundary;
  Random random{2};
  return Collator(worked_prompts(), config).lay_out(example, random);
}

// The whole network in plain torch, as an equation per line: no fused operation, no packing, one sequence.
at::Tensor plain_logits(const ScratchDecoder& decoder, ScratchDecoder& owner, const LaidOutExample& example) {
  std::map<std::string, at::Tensor> weight;
  for (const Parameter& parameter : decoder.parameters(owner.flat()))
    weight[parameter.name] = parameter.value;
  const DecoderShape& s = decoder.shape();
  const std::int64_t n = static_cast<std::int64_t>(example.rows.size()), hd = s.head_dim();
  at::Tensor mask = at::empty({n, n}), position = at::empty({n, 1});
  fill_mask(example.rows, example.rows, {mask.data_ptr<float>(), static_cast<std::size_t>(n * n)});
  for (std::int64_t i = 0; i < n; ++i) {
    position[i] = example.rows[static_cast<std::size_t>(i)].position.value();
  }
  const at::Tensor frequency =
      at::pow(s.rope_base, at::arange(0, hd, 2).to(at::kFloat) / -static_cast<double>(hd));
  const at::Tensor c = at::cos(position * frequency).unsqueeze(0),
                   si = at::sin(position * frequency).unsqueeze(0);
  const auto norm = [](const at::Tensor& x, const at::Tensor& gain) {
    return x * at::rsqrt(x.pow(2).mean(-1, true) + 1e-5) * gain;
  };
  const auto heads_of = [&](const at::Tensor& rows) { return rows.view({n, -1, hd}).transpose(0, 1); };
  const auto rotated = [&](const at::Tensor& heads) {
    const at::Tensor pairs = heads.reshape({heads.size(0), n, hd / 2, 2}), a = pairs.select(3, 0),
                     b = pairs.select(3, 1);
    return at::stack({a * c - b * si, a * si + b * c}, 3).reshape(heads.sizes());
  };
  at::Tensor x = at::embedding(weight["token_embd.weight"],
                               torch::tensor(at::ArrayRef<std::int32_t>(example.tokens), at::kInt));
  for (std::int64_t layer = 0; layer < s.n_layers; ++layer) {
    const auto w = [&](const char* name) {
      return weight.at("blk." + std::to_string(layer) + "." + name + ".weight");
    };
    at::Tensor h = norm(x, w("attn_norm"));
    const std::int64_t shared = s.n_heads / s.n_kv_heads;
    const at::Tensor q = rotated(heads_of(at::linear(h, w("attn_q"))));
    const at::Tensor k = rotated(heads_of(at::linear(h, w("attn_k")))).repeat_interleave(shared, 0);
    const at::Tensor v = heads_of(at::linear(h, w("attn_v"))).repeat_interleave(shared, 0);
    const at::Tensor p =
        at::softmax(at::bmm(q, k.transpose(1, 2)) / std::sqrt(static_cast<double>(hd)) + mask, -1);
    x = x + at::linear(at::bmm(p, v).transpose(0, 1).reshape({n, -1}), w("attn_output"));
    h = norm(x, w("ffn_norm"));
    x = x + at::linear(at::silu(at::linear(h, w("ffn_gate"))) * at::linear(h, w("ffn_up")), w("ffn_down"));
  }
  return at::linear(norm(x, weight["output_norm.weight"]), weight["token_embd.weight"]);
}

TEST(Decoder, LogitsAreThoseOfThePlainEquations) {
  ScratchDecoder decoder(small_shape(), MatmulType::kFloat32, 0.0, 1);
  const std::vector<Example> examples = random_examples(5, 3);
  std::vector<LaidOutExample> laid_out;
  for (const Example& example : examples) laid_out.push_back(lay_out(example, BoundaryRows::kBoth));
  const at::Tensor all = logits_of_all_rows(decoder, laid_out);
  std::int64_t first = 0;
  for (const LaidOutExample& example : laid_out) {
    const auto n = static_cast<std::int64_t>(example.rows.size());
    torch::NoGradGuard no_grad;
    EXPECT_LT(distance(all.narrow(0, first, n), plain_logits(decoder, decoder, example)), 1e-5);
    first += n;
  }
}

TEST(Decoder, Bfloat16ProductsStayNearFloat32) {
  ScratchDecoder exact(small_shape(), MatmulType::kFloat32, 0.0, 1),
      rounded(small_shape(), MatmulType::kBfloat16, 0.0, 1);
  const std::vector<LaidOutExample> examples = {lay_out(worked_example(), BoundaryRows::kBoth)};
  const double error = distance(logits_of_all_rows(exact, examples), logits_of_all_rows(rounded, examples));
  EXPECT_GT(error, 0.0);  // else the products were not in bfloat16 at all
  EXPECT_LT(error, 0.02);
}

TEST(Decoder, SourceRowsDoNotDependOnTargetTokens) {
  ScratchDecoder decoder(small_shape(), MatmulType::kFloat32, 0.0, 1);
  Example example = worked_example();
  const at::Tensor before = logits_of_all_rows(decoder, {lay_out(example, BoundaryRows::kReference)});
  for (TokenId& token : example.targets[0].tokens) token = TokenId{30};
  const at::Tensor after = logits_of_all_rows(decoder, {lay_out(example, BoundaryRows::kReference)});
  EXPECT_EQ(distance(before.narrow(0, 0, 8), after.narrow(0, 0, 8)),
            0.0);  // the source, and the target's prefix
  EXPECT_GT(distance(before.narrow(0, 8, 4), after.narrow(0, 8, 4)), 1e-3);
}

TEST(Decoder, DraftsAreInvisible) {
  ScratchDecoder decoder(small_shape(), MatmulType::kFloat32, 0.0, 1);
  const LaidOutExample with = lay_out(worked_example(), BoundaryRows::kBoth);
  LaidOutExample without = with;
  without.rows.resize(12);
  without.tokens.resize(12);
  const at::Tensor a = logits_of_all_rows(decoder, {with}), b = logits_of_all_rows(decoder, {without});
  EXPECT_LT(distance(a.narrow(0, 0, 12), b), 1e-6);
  EXPECT_GT(distance(a[12], a[8]), 1e-3);  // the draft of t1 sees less than t1
}

// A finite difference along a random direction, through the whole network.
TEST(Decoder, GradientIsTheSlopeOfTheLoss) {
  ScratchDecoder decoder(small_shape(), MatmulType::kFloat32, 0.0, 1);
  const Batch batch = pack(std::vector{lay_out(worked_example(), BoundaryRows::kBoth)});
  decoder.loss(batch, 0.1, 3.0).mean.backward();
  torch::manual_seed(9);
  const at::Tensor direction = torch::randn({decoder.n_parameters()});
  const double slope = decoder.gradients().dot(direction).item<double>();
  torch::NoGradGuard no_grad;
  const auto loss_at = [&](double step) {
    const at::Tensor own = decoder.flat().clone();
    decoder.flat().add_(direction, step);
    const double loss = decoder.loss(batch, 0.1, 3.0).mean.item<double>();
    decoder.flat().copy_(own);
    return loss;
  };
  EXPECT_NEAR((loss_at(2e-4) - loss_at(-2e-4)) / 4e-4, slope, 1e-2 * std::abs(slope) + 2e-3);
}

}  // namespace
}  // namespace tandem
