#include "model/quantize.h"

#include "model/gguf_file.h"

namespace tandem {

RewriteResult quantize_file(const std::string& input, const std::string& output, const std::string& type,
                            const std::function<void(double)>& progress) {
  const int wanted = parse_matrix_type(type);
  return rewrite_gguf(*GgufFile::open(input), output,
                      {.type_of = [=](const StoredTensor&) { return wanted; }, .progress = progress});
}

}  // namespace tandem
