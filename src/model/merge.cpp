#include "model/merge.h"

#include <ggml-cpp.h>
#include <gguf.h>

#include <map>
#include <memory>
#include <vector>

#include "model/gguf_file.h"
#include "model/lora_file.h"
#include "model/low_rank.h"
#include "model/model.h"

namespace tandem {

namespace {

bool is_stream_key(const std::string& key) {
  // What the rows of a cut vocabulary were once is the base's own history, not how it streams.
  return key.starts_with("tandem.") && key != "tandem.vocab.original_ids";
}

/// How to stream is the adapter's to say, all of it.
void take_stream_keys(gguf_context* keys, const GgufFile& base, const GgufFile& adapter) {
  const gguf_context_ptr taken(gguf_init_empty());
  gguf_set_kv(taken.get(), adapter.context());
  for (const std::string& key : adapter.keys()) {
    if (!is_stream_key(key)) gguf_remove_key(taken.get(), key.c_str());
  }
  if (gguf_get_n_kv(taken.get()) == 0) return;
  for (const std::string& key : base.keys()) {
    if (is_stream_key(key)) gguf_remove_key(keys, key.c_str());
  }
  gguf_set_kv(keys, taken.get());
}

}  // namespace

RewriteResult merge_adapter(const MergeTask& task) {
  Model::load(task.base)->load_adapter(task.adapter);  // whatever is wrong with them shows here
  const auto base = GgufFile::open(task.base);
  const auto adapter = GgufFile::open(task.adapter);
  const LoraFile lora = read_lora(*adapter);
  std::map<std::string, const LoraPair*> pairs;
  for (const LoraPair& pair : lora.pairs) pairs[pair.target] = &pair;

  RewriteTask rewrite{.progress = task.progress};
  if (!task.type.empty()) {
    rewrite.type_of = [type = parse_matrix_type(task.type)](const StoredTensor&) { return type; };
  }
  rewrite.edit_of = [&](const StoredTensor& matrix) -> RowEdit {
    const auto pair = pairs.find(matrix.name);
    if (pair == pairs.end()) return {};
    // Made when its matrix is written, so that one at a time is in memory.
    return [pair = pair->second, change = std::shared_ptr<const LowRank>()](int first_row,
                                                                            std::span<float> rows) mutable {
      if (!change) change = std::make_shared<LowRank>(*pair);
      change->add_to(first_row, rows);
    };
  };
  rewrite.edit_keys = [&](gguf_context* keys) { take_stream_keys(keys, *base, *adapter); };
  return rewrite_gguf(*base, task.output, rewrite);
}

}  // namespace tandem
