// The mean of adapters: of every weight, with the first one's keys; and what does not match is refused.
#include "model/average.h"

#include <gguf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <limits>

#include "model/gguf_file.h"
#include "model/tiny_adapter.h"
#include "model/tiny_family.h"
#include "model/tiny_llama.h"
#include "model/weights.h"
#include "tandem/error.h"

namespace tandem {
namespace {

using ::testing::HasSubstr;
using testing::TemporaryFolder;

class Average : public ::testing::Test {
 protected:
  Average() {
    testing::write_tiny_family(base_, {.architecture = "llama"});
    testing::write_tiny_adapter(a_, base_, {.seed = 5, .kept = {2, 5, 7}});
    testing::write_tiny_adapter(b_, base_, {.seed = 6});
  }

  std::string error_of(const std::vector<std::string>& adapters, const std::vector<double>& weights = {}) {
    try {
      average_adapters({.adapters = adapters, .weights = weights, .output = out_});
    } catch (const Error& error) {
      EXPECT_FALSE(std::filesystem::exists(out_));
      return error.what();
    }
    return "";
  }

  /// An adapter like b but for one thing.
  std::string other(const testing::AdapterShape& shape, const testing::AdapterEdits& edits = {}) {
    testing::write_tiny_adapter(folder_.file("other.gguf"), base_, shape, edits);
    return folder_.file("other.gguf");
  }

  TemporaryFolder folder_;
  std::string base_ = folder_.file("base.gguf"), a_ = folder_.file("a.gguf"), b_ = folder_.file("b.gguf"),
              out_ = folder_.file("out.gguf");
};

std::vector<float> values_of(const StoredTensor& tensor) {
  const RowTable table(tensor);
  const auto width = static_cast<std::size_t>(table.width());
  std::vector<float> values(width * static_cast<std::size_t>(table.n_rows()));
  for (int i = 0; i < table.n_rows(); ++i)
    table.read(i, std::span(values).subspan(width * static_cast<std::size_t>(i), width));
  return values;
}

TEST_F(Average, IsThatOfEveryWeight) {
  double last = 0;
  const RewriteResult result = average_adapters(
      {.adapters = {a_, b_}, .weights = {2, 6}, .output = out_, .progress = [&](double done) {
         last = done;
       }});
  EXPECT_GT(last, 0.9);
  const auto a = GgufFile::open(a_), b = GgufFile::open(b_), got = GgufFile::open(out_);
  EXPECT_EQ(result.n_matrices, static_cast<int>(a->tensors().size()));
  ASSERT_EQ(got->tensors().size(), a->tensors().size());
  for (const StoredTensor& tensor : got->tensors()) {
    const std::vector<float> mean = values_of(tensor), of_a = values_of(*a->find_tensor(tensor.name)),
                             of_b = values_of(*b->find_tensor(tensor.name));
    for (std::size_t i = 0; i < mean.size(); ++i)
      ASSERT_FLOAT_EQ(mean[i], static_cast<float>(0.25 * of_a[i] + 0.75 * of_b[i]))
          << tensor.name << " " << i;
  }
  EXPECT_EQ(got->keys(), a->keys());
  EXPECT_EQ(got->find_integers("tandem.vocab.kept"), a->find_integers("tandem.vocab.kept"));
}

TEST_F(Average, OfOneAdapterIsItself) {
  average_adapters({.adapters = {b_, b_, b_}, .output = out_});
  const auto b = GgufFile::open(b_), got = GgufFile::open(out_);
  for (const StoredTensor& tensor : got->tensors())
    EXPECT_EQ(values_of(tensor), values_of(*b->find_tensor(tensor.name))) << tensor.name;
}

TEST_F(Average, MayHaveAnotherType) {
  average_adapters({.adapters = {a_, b_}, .output = out_, .type = "f16"});
  const auto got = GgufFile::open(out_);
  for (const StoredTensor& tensor : got->tensors()) EXPECT_EQ(tensor.type, 1) << tensor.name;
}

TEST_F(Average, WeightsAreOnePositiveNumberEach) {
  EXPECT_THAT(error_of({a_}), HasSubstr("expected two adapters or more, got 1"));
  EXPECT_THAT(error_of({a_, b_}, {1}), HasSubstr("expected one for each of 2 adapters, got 1"));
  for (const double weight :
       {0.0, -1.0, std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()})
    EXPECT_THAT(error_of({a_, b_}, {1, weight}), HasSubstr("expected positive numbers")) << weight;
}

TEST_F(Average, WhatDoesNotMatchIsRefused) {
  EXPECT_THAT(error_of({a_, other({.rank = 4})}), HasSubstr("expected"));
  EXPECT_THAT(error_of({a_, other({.rank = 4})}), HasSubstr("other.gguf: tensor '"));
  EXPECT_THAT(error_of({a_, other({.alpha = 9})}), HasSubstr("other.gguf: expected alpha 4, got 9"));
  const auto rename = [](gguf_context* file) { gguf_set_val_str(file, "general.architecture", "qwen2"); };
  EXPECT_THAT(error_of({a_, other({}, {.metadata = rename})}),
              HasSubstr("expected an adapter for llama, got qwen2, as " + a_ + " has"));
  const auto move = [](std::string& name, int&, int&) {
    if (name.starts_with("blk.0.attn_q.")) name.replace(4, 1, "7");
  };
  EXPECT_THAT(error_of({a_, other({}, {.tensor = move})}),
              HasSubstr("'blk.0.attn_q.weight.lora_a': expected"));
  EXPECT_THAT(error_of({a_, base_}), HasSubstr("general.type"));
  EXPECT_THAT(error_of({a_, folder_.file("none.gguf")}), HasSubstr("none.gguf"));
}

}  // namespace
}  // namespace tandem
