#include "model/family.h"

#include "model/families/llama.h"
#include "model/llama_config.h"

namespace tandem {

// With one family the choice is its own check of `general.architecture`; a second one makes it a table here.
ModelConfig read_config(const GgufFile& file) {
  return read_llama_config(file);
}

std::unique_ptr<const Family> make_family(const ModelConfig& config, WeightLoader& loader) {
  return make_llama(config, loader);
}

}  // namespace tandem
