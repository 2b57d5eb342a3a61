#include "model/average.h"

#include <fmt/core.h>

#include <cmath>
#include <memory>
#include <numeric>

#include "model/gguf_file.h"
#include "model/lora_file.h"
#include "model/weights.h"
#include "tandem/error.h"

namespace tandem {

namespace {

[[noreturn]] void refuse(const std::string& message) {
  throw Error(ErrorCode::kInvalidArgument, message);
}

/// Whose sum is one.
std::vector<double> shares(const AverageTask& task) {
  const std::size_t n = task.adapters.size();
  if (n < 2) refuse(fmt::format("average: expected two adapters or more, got {}", n));
  if (task.weights.empty()) return std::vector<double>(n, 1.0 / static_cast<double>(n));
  if (task.weights.size() != n) {
    refuse(fmt::format("weights: expected one for each of {} adapters, got {}", n, task.weights.size()));
  }
  for (const double weight : task.weights) {
    if (!(weight > 0) || !std::isfinite(weight))
      refuse(fmt::format("weights: expected positive numbers, got {}", weight));
  }
  std::vector<double> result = task.weights;
  const double sum = std::accumulate(result.begin(), result.end(), 0.0);
  for (double& weight : result) weight /= sum;
  return result;
}

std::string shape_of(const StoredTensor& tensor) {
  return fmt::format("{} x {}", tensor.shape[0], tensor.shape[1]);
}

void check_match(const GgufFile& first, const GgufFile& other) {
  const LoraFile expected = read_lora(first), got = read_lora(other);
  const auto refuse_other = [&](const std::string& what) {
    refuse(fmt::format("{}: {}, as {} has", other.path(), what, first.path()));
  };
  if (got.architecture != expected.architecture)
    refuse_other(fmt::format("expected an adapter for {}, got {}", expected.architecture, got.architecture));
  if (got.alpha != expected.alpha)
    refuse_other(fmt::format("expected alpha {}, got {}", expected.alpha, got.alpha));
  for (const StoredTensor& tensor : first.tensors()) {
    const StoredTensor* same = other.find_tensor(tensor.name);
    if (same == nullptr || same->shape != tensor.shape) {
      refuse_other(fmt::format("tensor '{}': expected {} values, got {}", tensor.name, shape_of(tensor),
                               same == nullptr ? "none" : shape_of(*same)));
    }
  }
  if (other.tensors().size() != first.tensors().size()) {
    refuse_other(fmt::format("expected {} tensors, got {}", first.tensors().size(), other.tensors().size()));
  }
}

}  // namespace

RewriteResult average_adapters(const AverageTask& task) {
  const std::vector<double> weights = shares(task);
  std::vector<std::shared_ptr<const GgufFile>> files;
  for (const std::string& path : task.adapters) {
    files.push_back(GgufFile::open(path));
    check_match(*files.front(), *files.back());
  }

  RewriteTask rewrite{.progress = task.progress};
  if (!task.type.empty()) {
    rewrite.type_of = [type = parse_matrix_type(task.type)](const StoredTensor&) { return type; };
  }
  rewrite.edit_of = [&](const StoredTensor& matrix) -> RowEdit {
    return [&](int first_row, std::span<float> rows) {
      std::vector<double> sums(rows.size());
      std::vector<float> row(static_cast<std::size_t>(matrix.shape[0]));
      for (std::size_t i = 0; i < files.size(); ++i) {
        const RowTable table(*files[i]->find_tensor(matrix.name));
        for (std::size_t at = 0; at < rows.size(); at += row.size()) {
          table.read(first_row + static_cast<int>(at / row.size()), row);
          for (std::size_t k = 0; k < row.size(); ++k)
            sums[at + k] += weights[i] * static_cast<double>(row[k]);
        }
      }
      for (std::size_t k = 0; k < rows.size(); ++k) rows[k] = static_cast<float>(sums[k]);
    };
  };
  return rewrite_gguf(*files.front(), task.output, rewrite);
}

}  // namespace tandem
