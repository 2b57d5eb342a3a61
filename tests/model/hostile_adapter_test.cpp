// Adapters that are damaged, or made for another base: one Error each, in one line that names the file, what
// was expected and what was found; never an assertion of ggml's or libllama's.
#include <fmt/core.h>
#include <gguf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <limits>

#include "model/adapter.h"
#include "model/model.h"
#include "model/quantize.h"
#include "model/refusal.h"
#include "model/tiny_adapter.h"
#include "model/tiny_llama.h"
#include "tandem/error.h"

namespace tandem {
namespace {

using testing::AdapterEdits;
using testing::AdapterShape;
using ::testing::HasSubstr;
using testing::TemporaryFolder;

constexpr testing::TinyShape kNarrow = {
    .n_layers = 1, .n_embd = 32, .n_heads = 2, .n_kv_heads = 1, .n_ff = 32};

class HostileAdapter : public ::testing::Test {
 protected:
  HostileAdapter() {
    testing::write_tiny_llama(base_, kNarrow);
    model_ = Model::load(base_);
  }

  /// The message that the file at path_ is refused with.
  std::string load() {
    return testing::refusal_of(path_, [&] { model_->load_adapter(path_); });
  }
  std::string load(const AdapterShape& shape, const AdapterEdits& edits) {
    testing::write_tiny_adapter(path_, base_, shape, edits);
    return load();
  }
  std::string load_keys(const std::function<void(gguf_context*)>& edit) {
    return load({}, {.metadata = edit});
  }
  std::string load_tensors(const std::function<void(std::string& name, int& n_in, int& n_out)>& edit) {
    return load({}, {.tensor = edit});
  }
  /// With kept ids of its own.
  std::string load_kept(const std::vector<int>& ids) { return load({.kept = ids}, {}); }

  TemporaryFolder folder_;
  std::string base_ = folder_.file("base.gguf");
  std::string path_ = folder_.file("adapter.gguf");
  std::shared_ptr<const Model> model_;
};

TEST_F(HostileAdapter, ASoundOneIsLoaded) {
  EXPECT_EQ(load({}, {}), "no error");
  EXPECT_EQ(load_keys([](gguf_context* file) { gguf_remove_key(file, "adapter.lora.alpha"); }), "no error")
      << "libllama takes it too, as 0";
}

TEST_F(HostileAdapter, MustSayThatItIsOne) {
  for (const char* key : {"general.type", "adapter.type"}) {
    EXPECT_THAT(load_keys([&](gguf_context* file) { gguf_remove_key(file, key); }), HasSubstr(key));
    EXPECT_THAT(load_keys([&](gguf_context* file) { gguf_set_val_str(file, key, "model"); }),
                HasSubstr("got 'model'"));
    EXPECT_THAT(load_keys([&](gguf_context* file) { gguf_set_val_u32(file, key, 1); }), HasSubstr("got u32"));
  }
  EXPECT_THAT(load_keys([](gguf_context* file) {
                const std::uint32_t tokens[] = {5};
                gguf_set_arr_data(file, "adapter.alora.invocation_tokens", GGUF_TYPE_UINT32, tokens, 1);
              }),
              HasSubstr("adapter.alora.invocation_tokens"));
  path_ = base_;
  EXPECT_THAT(load(), HasSubstr("general.type"));
}

TEST_F(HostileAdapter, AnAdapterIsNoModel) {
  testing::write_tiny_adapter(path_, base_);
  try {
    Model::load(path_);
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("expected a model, got an adapter"));
  }
}

TEST_F(HostileAdapter, AlphaIsANumber) {
  for (const float alpha : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()})
    EXPECT_THAT(load({.alpha = alpha}, {}), HasSubstr("adapter.lora.alpha"));
  EXPECT_THAT(load_keys([](gguf_context* file) { gguf_set_val_str(file, "adapter.lora.alpha", "16"); }),
              HasSubstr("got str"));
}

TEST_F(HostileAdapter, MustBeMadeForTheBase) {
  EXPECT_THAT(load_keys([](gguf_context* file) { gguf_set_val_str(file, "general.architecture", "gemma3"); }),
              HasSubstr("expected 'llama'"));
  const std::string other = folder_.file("other.gguf");
  testing::TinyShape wider = kNarrow;
  wider.n_ff = 64;
  testing::write_tiny_llama(other, wider);
  testing::write_tiny_adapter(path_, other);
  EXPECT_THAT(load(), HasSubstr("expected a product of 32 x 32"));
  wider = kNarrow;
  wider.n_layers = 2;
  testing::write_tiny_llama(other, wider);
  testing::write_tiny_adapter(path_, other);
  EXPECT_THAT(load(), HasSubstr("has no 'blk.1."));
}

TEST_F(HostileAdapter, EachTensorHasItsPlace) {
  const auto renamed = [&](const std::string& to) {
    return load_tensors([=](std::string& name, int&, int&) {
      const std::string from = "blk.0.attn_q.weight";
      if (name.starts_with(from)) name = to + name.substr(from.size());
    });
  };
  EXPECT_THAT(renamed("blk.0.attn_norm.weight"), HasSubstr("attn_norm.weight"));
  EXPECT_THAT(renamed("token_embd.weight"), HasSubstr("embeddings"));
  EXPECT_THAT(renamed("nothing"), HasSubstr("has no 'nothing'"));
  EXPECT_THAT(renamed(""), HasSubstr("has no ''"));
  EXPECT_THAT(load_tensors([](std::string& name, int&, int&) {
                if (name == "blk.0.ffn_up.weight.lora_a") name = "blk.0.attn_norm.weight";
              }),
              HasSubstr("expected a name that ends in .lora_a or .lora_b"));
}

TEST_F(HostileAdapter, EachPairIsWhole) {
  std::vector<std::string> names;
  load_tensors([&](std::string& name, int&, int&) { names.push_back(name); });
  ASSERT_EQ(names.size(), 16U) << "seven matrices of the layer and the head";
  for (const std::string& one : names) {
    EXPECT_THAT(load_tensors([&](std::string& name, int&, int&) {
                  if (name == one) name.clear();
                }),
                HasSubstr("'" + one + "' is missing"));
    EXPECT_THAT(load_tensors([&](std::string& name, int& n_in, int& n_out) {
                  if (name == one) (one.ends_with("a") ? n_out : n_in) = 7;
                }),
                HasSubstr("expected rows of the rank of its other half"));
    EXPECT_THAT(load_tensors([&](std::string& name, int& n_in, int& n_out) {
                  if (name == one) (one.ends_with("a") ? n_in : n_out) = 31;
                }),
                HasSubstr("expected a product of"));
  }
  EXPECT_THAT(load_tensors([](std::string& name, int&, int&) { name.clear(); }),
              HasSubstr("at least one pair"));
}

TEST_F(HostileAdapter, TypesMustMultiply) {
  // The type is written behind the tensor's name, the number of its dimensions and two of these.
  testing::write_tiny_adapter(path_, base_);
  std::string bytes = testing::read_bytes(path_);
  const std::string name = "blk.0.attn_q.weight.lora_a";
  const std::size_t at = bytes.find(name) + name.size() + 4 + 2 * 8;
  constexpr std::uint32_t kI32 = 26;
  std::memcpy(bytes.data() + at, &kI32, sizeof kI32);
  testing::write_bytes(path_, bytes);
  EXPECT_THAT(load(), HasSubstr("got i32"));
}

TEST_F(HostileAdapter, EveryTruncationIsAnError) {
  testing::write_tiny_adapter(path_, base_, {.rank = 1, .kept = {2, 5}});
  const std::string whole = testing::read_bytes(path_);
  for (std::size_t size = 0; size < whole.size(); size += size < 4096 ? 61 : 997) {
    testing::write_bytes(path_, std::string_view(whole).substr(0, size));
    EXPECT_NE(load(), "no error") << size << " of " << whole.size() << " bytes";
  }
}

TEST_F(HostileAdapter, KeptIdsAreSoundAndHaveTheEnd) {
  const int n_vocab = model_->config().n_vocab;
  EXPECT_EQ(load_kept({2, 5, n_vocab - 1}), "no error");
  EXPECT_THAT(load_kept({2, 5, n_vocab}), HasSubstr(fmt::format("below {}", n_vocab)));
  EXPECT_THAT(load_kept({-1, 2, 5}), HasSubstr("tandem.vocab.kept"));
  EXPECT_THAT(load_kept({5, 2}), HasSubstr("ascending"));
  EXPECT_THAT(load_kept({2, 2}), HasSubstr("ascending"));
  EXPECT_THAT(load_kept({3, 4, 5}), HasSubstr("expected the template's end '</s>' (id 2)"));
  EXPECT_THAT(load({.kept = {2, 5}}, {.metadata =
                                          [](gguf_context* file) {
                                            gguf_set_arr_data(file, "tandem.vocab.kept", GGUF_TYPE_INT32,
                                                              nullptr, 0);
                                          }}),
              HasSubstr("at least one id"));
}

TEST_F(HostileAdapter, TheEndIsAmongAModelsKeptIdsToo) {
  const int without_end[] = {3, 4};
  testing::write_tiny_llama(path_, kNarrow, [&](gguf_context* file) {
    testing::add_stream_metadata(file);
    gguf_set_arr_data(file, "tandem.vocab.kept", GGUF_TYPE_INT32, without_end, 2);
  });
  EXPECT_THROW(Model::load(path_), Error);
}

}  // namespace
}  // namespace tandem
