// A merged file is the base with its adapter: the same logits, a normal GGUF, the adapter's way to stream.
#include "model/merge.h"

#include <ggml.h>
#include <gguf.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <numeric>

#include "model/adapter.h"
#include "model/gguf_file.h"
#include "model/model.h"
#include "model/quantize.h"
#include "model/reference.h"
#include "model/rows.h"
#include "model/tiny_adapter.h"
#include "model/tiny_family.h"
#include "model/tiny_llama.h"
#include "tandem/error.h"

namespace tandem {
namespace {

using testing::expect_close;
using testing::TemporaryFolder;
using testing::TestSession;

std::vector<float> logits_of(const Model& model, const std::shared_ptr<const Adapter>& adapter) {
  const auto network = model.make_network({.n_slots = 32});
  TestSession session(*network, 32, {}, adapter);
  for (int token = 3; token < 15; ++token) session.source(token);
  return session.evaluate();
}

TEST(Merge, IsTheBaseWithItsAdapterForEveryFamily) {
  const TemporaryFolder folder;
  const std::string base = folder.file("base.gguf");
  const std::string adapter = folder.file("adapter.gguf");
  const std::string merged = folder.file("merged.gguf");
  for (const auto& [name, shape] : testing::family_shapes()) {
    testing::write_tiny_family(base, shape);
    testing::write_tiny_adapter(adapter, base, {.alpha = 5});
    double last = 0;
    const RewriteResult result = merge_adapter(
        {.base = base, .adapter = adapter, .output = merged, .progress = [&](double done) { last = done; }});
    EXPECT_GT(last, 0.9) << name;
    EXPECT_EQ(2 * result.n_matrices, static_cast<int>(GgufFile::open(adapter)->tensors().size())) << name;
    const auto model = Model::load(base);
    // Sums in another order; GELU is a table of f16.
    expect_close(logits_of(*Model::load(merged), nullptr), logits_of(*model, model->load_adapter(adapter)),
                 shape.architecture.starts_with("gemma") ? 5e-3F : 5e-4F, name);
    const std::vector<int> tokens = {3, 4, 5, 6, 7, 8, 9};
    expect_close(testing::libllama_logits(merged, tokens),
                 Yardstick(base, {.adapter = adapter}).logits(testing::to_tokens(tokens)),
                 shape.architecture.starts_with("gemma") ? 5e-3F : 5e-4F, name + " in libllama");
  }
}

class MergedFile : public ::testing::Test {
 protected:
  MergedFile() {
    testing::write_tiny_llama(folder_.file("f32.gguf"), {.n_layers = 1}, [](gguf_context* file) {
      testing::add_stream_metadata(file);
      gguf_set_val_str(file, "tandem.training.summary", "the base");
      const int original[] = {1, 2, 3};
      gguf_set_arr_data(file, "tandem.vocab.original_ids", GGUF_TYPE_INT32, original, 3);
    });
    quantize_file(folder_.file("f32.gguf"), base_, "q8_0");
    std::iota(kept_.begin(), kept_.end(), 2);
    testing::write_tiny_adapter(adapter_, base_, {.kept = kept_}, {.metadata = [](gguf_context* file) {
                                  gguf_set_val_str(file, "tandem.training.summary", "the adapter");
                                }});
  }

  TemporaryFolder folder_;
  std::string base_ = folder_.file("base.gguf");
  std::string adapter_ = folder_.file("adapter.gguf");
  std::string merged_ = folder_.file("merged.gguf");
  std::vector<int> kept_ = std::vector<int>(40);
};

TEST_F(MergedFile, StreamsAsTheAdapterSays) {
  merge_adapter({.base = base_, .adapter = adapter_, .output = merged_});
  const auto file = GgufFile::open(merged_);
  EXPECT_EQ(file->text("tandem.training.summary"), "the adapter");
  EXPECT_EQ(*file->find_integers("tandem.vocab.kept"), kept_);
  EXPECT_EQ(file->find_integers("tandem.vocab.original_ids")->size(), 3U) << "the base's own history";
  EXPECT_FALSE(file->find_text("adapter.type"));
  EXPECT_EQ(Model::load(merged_)->metadata()->kept_ids.size(), kept_.size());
}

TEST_F(MergedFile, MatricesKeepTheirTypesUnlessOneIsGiven) {
  for (const auto& [type, expected] : {std::pair{"", GGML_TYPE_Q8_0}, {"f16", GGML_TYPE_F16}}) {
    merge_adapter({.base = base_, .adapter = adapter_, .output = merged_, .type = type});
    const auto file = GgufFile::open(merged_);
    for (const StoredTensor& tensor : file->tensors())
      EXPECT_EQ(tensor.type, tensor.n_dims == 2 ? expected : GGML_TYPE_F32) << tensor.name;
  }
}

TEST_F(MergedFile, RefusesWithoutLeavingAFile) {
  EXPECT_THROW(merge_adapter({.base = base_, .adapter = adapter_, .output = merged_, .type = "q9_z"}), Error);
  EXPECT_THROW(merge_adapter({.base = adapter_, .adapter = adapter_, .output = merged_}), Error);
  EXPECT_THROW(merge_adapter({.base = base_, .adapter = base_, .output = merged_}), Error);
  EXPECT_FALSE(std::filesystem::exists(merged_));
}

}  // namespace
}  // namespace tandem
