#include "train/base_model.h"

#include <ATen/Functions.h>

#include "model/model.h"
#include "model/weights.h"
#include "tandem/error.h"

namespace tandem {

at::Tensor tensor_of(const StoredTensor& stored) {
  TANDEM_CHECK(stored.n_dims <= 2);
  const RowTable table(stored);
  at::Tensor out = at::empty({table.n_rows(), table.width()}, at::kFloat);
  const auto width = static_cast<std::size_t>(table.width());
  for (int row = 0; row < table.n_rows(); ++row) {
    table.read(row, {out.data_ptr<float>() + static_cast<std::size_t>(row) * width, width});
  }
  return stored.n_dims == 1 ? out.view({-1}) : out;
}

BaseModel::BaseModel(const std::string& path) : file_(GgufFile::open(path)) {
  const auto model = Model::load(path, {.device = "CPU", .layout = WeightLayout::kAsStored});
  config_ = model->config();
  vocabulary_ = model->vocabulary();
}

at::Tensor BaseModel::find(const std::string& name) const {
  const StoredTensor* stored = file_->find_tensor(name);
  return stored == nullptr ? at::Tensor() : tensor_of(*stored);
}

at::Tensor BaseModel::rows(const std::string& name, std::span<const std::int32_t> ids) const {
  const StoredTensor* stored = file_->find_tensor(name);
  TANDEM_CHECK(stored != nullptr);
  const RowTable table(*stored);
  const auto width = static_cast<std::size_t>(table.width());
  at::Tensor out = at::empty({static_cast<std::int64_t>(ids.size()), table.width()}, at::kFloat);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    table.read(ids[i], {out.data_ptr<float>() + i * width, width});
  }
  return out;
}

}  // namespace tandem
