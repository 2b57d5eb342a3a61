#include "model/tiny_adapter.h"

#include <gguf.h>

#include "model/gguf_file.h"
#include "model/tiny_llama.h"

namespace tandem::testing {

void write_tiny_adapter(const std::string& path, const std::string& base, const AdapterShape& shape,
                        const AdapterEdits& edits) {
  const auto model = GgufFile::open(base);
  GgufWriter writer(shape.seed);
  gguf_set_val_str(writer.file(), "general.type", "adapter");
  gguf_set_val_str(writer.file(), "general.architecture", model->text("general.architecture").c_str());
  gguf_set_val_str(writer.file(), "adapter.type", "lora");
  gguf_set_val_f32(writer.file(), "adapter.lora.alpha", shape.alpha);
  if (!shape.kept.empty()) {
    add_stream_metadata(writer.file());
    gguf_set_arr_data(writer.file(), "tandem.vocab.kept", GGUF_TYPE_INT32, shape.kept.data(),
                      shape.kept.size());
  }
  writer.tamper = edits.tensor;
  for (const StoredTensor& target : model->tensors()) {
    if (target.n_dims != 2 || target.name == "token_embd.weight") continue;
    writer.matrix(target.name + ".lora_a", static_cast<int>(target.shape[0]), shape.rank);
    writer.matrix(target.name + ".lora_b", shape.rank, static_cast<int>(target.shape[1]));
  }
  if (edits.metadata) edits.metadata(writer.file());
  writer.write(path);
}

}  // namespace tandem::testing
