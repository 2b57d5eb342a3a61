#include "train/optimiser.h"

#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <torch/types.h>

#include <algorithm>
#include <cmath>

#include "train/kernels.h"

namespace tandem {
namespace {

constexpr std::int64_t kGrain = 1 << 16;  // elements per thread at least

template <class F>
void for_elements(std::int64_t begin, std::int64_t end, const F& work) {
  at::parallel_for(begin, end, kGrain, [&](std::int64_t b, std::int64_t e) { work(RowRange{b, e}); });
}

/// Summed in blocks of fixed size: the same number with any count of threads.
double norm_of(const at::Tensor& values) {
  const std::int64_t n = values.numel(), n_blocks = (n + kGrain - 1) / kGrain;
  std::vector<double> sums(static_cast<std::size_t>(n_blocks));
  at::parallel_for(0, n_blocks, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t block = begin; block < end; ++block) {
      sums[static_cast<std::size_t>(block)] =
          sum_of_squares(values.data_ptr<float>(), {block * kGrain, std::min(n, (block + 1) * kGrain)});
    }
  });
  double total = 0.0;
  for (const double sum : sums) total += sum;
  return std::sqrt(total);
}

}  // namespace

double learning_rate_at(const TrainConfig& config, std::int64_t step) {
  if (step < config.warmup_steps) {
    return config.learning_rate * static_cast<double>(step + 1) / static_cast<double>(config.warmup_steps);
  }
  const auto total = static_cast<double>(config.total_steps);
  const double decay_begin =
      std::max(static_cast<double>(config.warmup_steps), total * (1.0 - config.decay_share));
  const double span = std::max(1.0, total - decay_begin);
  const double done = std::clamp((static_cast<double>(step) - decay_begin) / span, 0.0, 1.0);
  return config.learning_rate * (1.0 - (1.0 - config.final_rate) * done);
}

Optimiser::Optimiser(TrainableDecoder& decoder, const TrainConfig& config)
    : decoder_(decoder),
      config_(config),
      first_moments_(at::zeros_like(decoder.flat())),
      second_moments_(at::zeros_like(decoder.flat())) {
  if (config.average_decay > 0.0) average_ = decoder.flat().clone();
  if (config.optimiser == OptimiserKind::kMuon) group_matrices();
}

void Optimiser::group_matrices() {
  const auto values = decoder_.parameters(decoder_.flat()),
             gradients = decoder_.parameters(decoder_.gradients()),
             momenta = decoder_.parameters(first_moments_);
  const auto flatter = [](const at::Tensor& m) { return m.size(0) > m.size(1) ? m.t() : m; };
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (values[i].kind != ParameterKind::kMatrix) continue;
    const at::Tensor value = flatter(values[i].value);
    auto group = std::find_if(groups_.begin(), groups_.end(),
                              [&](const MatrixGroup& g) { return g.values[0].sizes() == value.sizes(); });
    if (group == groups_.end()) group = groups_.insert(groups_.end(), MatrixGroup{});
    group->values.push_back(value);
    group->gradients.push_back(flatter(gradients[i].value));
    group->momenta.push_back(flatter(momenta[i].value));
  }
}

double Optimiser::step(std::int64_t step) {
  torch::NoGradGuard no_grad;
  const double norm = norm_of(decoder_.gradients());
  const double scale = norm > config_.clip_norm ? config_.clip_norm / norm : 1.0;
  const double rate = learning_rate_at(config_, step);
  const std::int64_t n_matrix = decoder_.n_matrix_parameters(), n = decoder_.n_parameters();
  if (config_.optimiser == OptimiserKind::kMuon) {
    muon(rate, scale);
  } else {
    adamw_range(0, n_matrix, rate, scale, config_.weight_decay, step);
  }
  adamw_range(n_matrix, n, rate, scale, 0.0, step);
  decoder_.gradients().zero_();
  if (average_.defined()) {
    // A young average follows closely: what it would hold of the first steps is noise.
    const double decay = std::min(config_.average_decay,
                                  (1.0 + static_cast<double>(step)) / (10.0 + static_cast<double>(step)));
    for_elements(0, n, [&](RowRange elements) {
      move_average(static_cast<float>(decay), decoder_.flat().data_ptr<float>(), average_.data_ptr<float>(),
                   elements);
    });
  }
  return norm;
}

void Optimiser::adamw_range(std::int64_t begin, std::int64_t end, double rate, double gradient_scale,
                            double decay, std::int64_t step) {
  const AdamWKernel kernel{static_cast<float>(rate),
                           static_cast<float>(config_.beta1),
                           static_cast<float>(config_.beta2),
                           static_cast<float>(config_.epsilon),
                           static_cast<float>(decay),
                           static_cast<float>(gradient_scale),
                           step + 1,
                           decoder_.flat().data_ptr<float>(),
                           decoder_.gradients().data_ptr<float>(),
                           first_moments_.data_ptr<float>(),
                           second_moments_.data_ptr<float>()};
  for_elements(begin, end, [&](RowRange elements) { adamw(kernel, elements); });
}

void Optimiser::muon(double rate, double gradient_scale) {
  constexpr double kMomentum = 0.95;
  const at::ScalarType type = config_.matmul == MatmulType::kBfloat16 ? at::kBFloat16 : at::kFloat;
  for (MatrixGroup& group : groups_) {
    std::vector<at::Tensor> updates;
    for (std::size_t i = 0; i < group.values.size(); ++i) {
      const at::Tensor gradient = group.gradients[i].mul(gradient_scale);
      group.momenta[i].mul_(kMomentum).add_(gradient);
      updates.push_back(gradient.add_(group.momenta[i], kMomentum));  // Nesterov's form
    }
    const at::Tensor directions = orthogonalise(at::stack(updates), type);
    const double size = 0.2 * std::sqrt(static_cast<double>(directions.size(2)));
    for (std::size_t i = 0; i < group.values.size(); ++i) {
      group.values[i].mul_(1.0 - rate * config_.weight_decay);
      group.values[i].sub_(directions[static_cast<std::int64_t>(i)].to(at::kFloat), rate * size);
    }
  }
}

at::Tensor orthogonalise(const at::Tensor& matrices, at::ScalarType type) {
  // The quintic whose slope at 0 is steep and which keeps singular values near 1 (Jordan et al. 2024,
  // "Muon").
  constexpr double kA = 3.4445, kB = -4.7750, kC = 2.0315;
  at::Tensor x = matrices.div(matrices.norm(2, {1, 2}, true).add(1e-7)).to(type).contiguous();
  for (int i = 0; i < 5; ++i) {
    const at::Tensor a = at::bmm(x, x.transpose(1, 2));
    const at::Tensor b = a.mul(kB).add_(at::bmm(a, a), kC);
    x = x.mul(kA).add_(at::bmm(b, x));
  }
  return x;
}

}  // namespace tandem
