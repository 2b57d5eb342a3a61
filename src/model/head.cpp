#include "model/head.h"

#include <fmt/core.h>

#include <algorithm>

#include "model/gguf_file.h"
#include "model/stream_metadata.h"
#include "model/weights.h"
#include "text/vocabulary.h"

namespace tandem {

std::shared_ptr<const Head> load_head(const HeadSource& source, const std::vector<TokenId>& ids) {
  WeightLoader loader(source.file, source.device, source.layout);
  auto head = std::make_shared<Head>();
  head->matrix = ids.empty() ? loader.matrix(source.name, source.n_embd, source.n_vocab)
                             : loader.rows(source.name, source.n_embd, source.n_vocab, ids);
  head->ids = ids;
  head->weights = std::make_shared<WeightBuffers>(loader.place_all());
  return head;
}

void require_kept_end(const GgufFile& file, const StreamMetadata& metadata, const Vocabulary& vocabulary) {
  if (metadata.kept_ids.empty()) return;
  const std::vector<TokenId> end = vocabulary.tokenize_template(metadata.prompt.end);
  if (end.empty()) return;  // refused where sessions open, kept ids or not
  if (std::binary_search(metadata.kept_ids.begin(), metadata.kept_ids.end(), end.front())) return;
  file.fail(fmt::format(
      "key 'tandem.vocab.kept': expected the template's end '{}' (id {}) among the ids, got {} others",
      metadata.prompt.end, to_int(end.front()), metadata.kept_ids.size()));
}

}  // namespace tandem
