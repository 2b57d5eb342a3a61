#include "model/wide_copies.h"

#include <ggml.h>

#include <optional>

#include "model/adapter.h"
#include "model/gguf_file.h"
#include "model/head.h"
#include "model/low_rank.h"
#include "model/weights.h"

namespace tandem {

namespace {

bool suits(const StoredTensor& stored) {
  return ggml_is_quantized(static_cast<ggml_type>(stored.type)) && stored.shape[0] % kBlockInputs == 0;
}

/// At least as many bits as the file has for a weight, scales and all: rounding adds a little to the file's
/// own rounding then. Where it has less than one more than six, as q6_K, six with scales as near as its own.
WeightForm form_for(const StoredTensor& stored) {
  if (fastest_form() == WeightForm::kEight) return WeightForm::kEight;
  const auto type = static_cast<ggml_type>(stored.type);
  const std::size_t file_bits = 8 * ggml_type_size(type);  // of a block
  const auto block = static_cast<std::size_t>(ggml_blck_size(type));
  if (file_bits <= 6 * block) return WeightForm::kSix;
  return file_bits < 7 * block ? WeightForm::kSixHalves : WeightForm::kEight;
}

int n_rows_of(const RowTable& rows, const std::vector<TokenId>& ids) {
  return ids.empty() ? rows.n_rows() : static_cast<int>(ids.size());
}

/// Of the rows `ids` of a matrix, or of all.
WideMatrix copy(const WideSource& source, const StoredTensor& stored, const WideMatrix::ShareOut& share_out,
                const std::vector<TokenId>& ids = {}) {
  const RowTable rows(stored);
  const LoraPair* pair = source.adapter == nullptr ? nullptr : source.adapter->find_pair(stored.name);
  const std::optional<LowRank> change = pair == nullptr ? std::nullopt : std::optional<LowRank>(*pair);
  const int n_out = n_rows_of(rows, ids);
  const auto read_row = [&](int i, std::span<float> row) {
    const int at = ids.empty() ? i : to_int(ids[static_cast<std::size_t>(i)]);
    rows.read(at, row);
    if (change) change->add_to(at, row);
  };
  return {rows.width(), n_out, form_for(stored), read_row, share_out};
}

}  // namespace

std::size_t wide_copy_bytes(const WideSource& source) {
  std::size_t bytes = 0;
  const auto add = [&](const std::string& name, const std::vector<TokenId>& ids) {
    const StoredTensor& stored = *source.file.find_tensor(name);
    if (!suits(stored)) return;
    const RowTable rows(stored);
    bytes += WideMatrix::bytes_of(rows.width(), n_rows_of(rows, ids), form_for(stored));
  };
  for (const auto& [name, matrix] : source.matrices) add(name, {});
  add(source.head_name, source.head.ids);
  return bytes;
}

WideCopies::WideCopies(const WideSource& source, const WideMatrix::ShareOut& share_out) {
  for (const auto& [name, matrix] : source.matrices) {
    const StoredTensor& stored = *source.file.find_tensor(name);
    if (suits(stored)) copies_.emplace(matrix, copy(source, stored, share_out));
  }
  const StoredTensor& head = *source.file.find_tensor(source.head_name);
  if (suits(head)) copies_.emplace(source.head.matrix, copy(source, head, share_out, source.head.ids));
}

const WideMatrix* WideCopies::find(const ggml_tensor* matrix) const {
  const auto found = copies_.find(matrix);
  return found == copies_.end() ? nullptr : &found->second;
}

}  // namespace tandem
