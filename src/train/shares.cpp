#include "train/shares.h"

#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/utils.h>

#include <algorithm>
#include <future>
#include <numeric>

#include "train/dropout.h"
#include "train/random.h"

namespace tandem {
namespace {

constexpr std::int64_t kMostGradientBytes = std::int64_t{4} << 30;  // of all shares
constexpr std::int64_t kFewestRows = 128;                           // of each

struct ShareResult {
  std::vector<at::Tensor> gradients;  // by leaf; undefined where the share does not touch one
  double loss = 0.0;
};

ShareResult take_share(TrainableDecoder& decoder, const Batch& batch, const LossOptions& options,
                       std::uint64_t seed, int threads) {
  at::set_num_threads(threads);  // of this thread's operations
  seed_dropout(seed);
  const Loss loss = decoder.loss(batch, options.label_smoothing, options.divisor);
  ShareResult result;
  result.gradients = torch::autograd::grad({loss.mean}, decoder.leaves(), {}, false, false, true);
  result.loss = loss.plain.sum().item<double>();
  return result;
}

void add(const std::vector<at::Tensor>& gradients, const std::vector<at::Tensor>& leaves) {
  const torch::NoGradGuard no_grad;
  for (std::size_t i = 0; i < leaves.size(); ++i) {
    if (gradients[i].defined()) leaves[i].grad().add_(gradients[i]);
  }
}

}  // namespace

std::vector<Examples> divide(Examples examples, std::span<const int> rows, std::size_t n_shares) {
  const std::int64_t all = std::accumulate(rows.begin(), rows.end(), std::int64_t{0});
  const std::size_t n = std::min(n_shares, examples.size());
  std::vector<Examples> shares;
  std::size_t begin = 0;
  std::int64_t taken = 0;
  for (std::size_t share = 0; share < n; ++share) {
    const std::int64_t goal = all * static_cast<std::int64_t>(share + 1) / static_cast<std::int64_t>(n);
    const std::size_t last = examples.size() - (n - share - 1);  // leaves one for each share to come
    std::size_t end = begin;
    do {
      taken += rows[end++];
    } while (end < last && taken + rows[end] / 2 <= goal);
    if (share + 1 == n) end = examples.size();
    shares.push_back(examples.subspan(begin, end - begin));
    begin = end;
  }
  return shares;
}

std::size_t count_shares(int threads, std::int64_t n_parameters, std::int64_t n_rows) {
  const std::int64_t fit = kMostGradientBytes / (n_parameters * static_cast<std::int64_t>(sizeof(float)));
  return static_cast<std::size_t>(std::clamp<std::int64_t>(std::min(fit, n_rows / kFewestRows), 1, threads));
}

double add_gradients(TrainableDecoder& decoder, std::span<const Batch> shares, const LossOptions& options) {
  Random random{options.seed};
  if (shares.size() == 1) {  // straight into the decoder's gradients
    seed_dropout(random.next());
    const Loss loss = decoder.loss(shares[0], options.label_smoothing, options.divisor);
    loss.mean.backward();
    return loss.plain.sum().item<double>();
  }
  const int threads = std::max(1, options.threads / static_cast<int>(shares.size()));
  std::vector<std::future<ShareResult>> running;
  for (const Batch& batch : shares) {
    running.push_back(
        std::async(std::launch::async, [&decoder, &batch, &options, threads, seed = random.next()] {
          return take_share(decoder, batch, options, seed, threads);
        }));
  }
  for (const auto& share : running) share.wait();  // none may outlive what it borrows, if another one throws
  at::set_num_threads(options.threads);
  double loss = 0.0;
  for (auto& share : running) {
    const ShareResult result = share.get();
    add(result.gradients, decoder.leaves());
    loss += result.loss;
  }
  return loss;
}

}  // namespace tandem
