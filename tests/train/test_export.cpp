// The exported file is judged by the programs that read it: ggml's reader and libllama.
#include <gguf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <llama.h>
#include <sys/resource.h>

#include <csignal>
#include <limits>
#include <random>

#include "ggml-cpp.h"
#include "llama-cpp.h"
#include "tandem/error.h"
#include "text/llama_log.h"
#include "train/train_support.h"

namespace tandem {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::small_vocabulary;
using testing::TemporaryFolder;

TrainConfig small_config() {
  TrainConfig config;
  config.target_languages = {"de", "fr"};
  config.licences = {"CC0", "MIT"};
  config.prompt = testing::small_prompt();
  config.n_layers = 2;
  config.width = 32;
  config.n_heads = 4;
  config.n_kv_heads = 2;
  config.ff_width = 48;
  config.context_length = 256;
  config.phi = 0.5;
  config.no_repeat_ngram = 4;
  config.ks = {WaitK(1), WaitK(3), WaitK::unlimited()};
  config.summary = "a test";
  return config;
}

/// Random weights under llama.cpp's names, in a fixed order.
class RandomWeights {
 public:
  explicit RandomWeights(const TrainConfig& config) {
    const std::int64_t width = config.width, kv_width = config.width / config.n_heads * config.n_kv_heads;
    add("token_embd.weight", {width, 1500});
    for (int i = 0; i < config.n_layers; ++i) {
      const std::string layer = "blk." + std::to_string(i) + ".";
      add(layer + "attn_norm.weight", {width});
      add(layer + "attn_q.weight", {width, width});
      add(layer + "attn_k.weight", {width, kv_width});
      add(layer + "attn_v.weight", {width, kv_width});
      add(layer + "attn_output.weight", {width, width});
      add(layer + "ffn_norm.weight", {width});
      add(layer + "ffn_gate.weight", {width, config.ff_width});
      add(layer + "ffn_up.weight", {width, config.ff_width});
      add(layer + "ffn_down.weight", {config.ff_width, width});
    }
    add("output_norm.weight", {width});
  }
  std::vector<NamedTensor> tensors() const {
    std::vector<NamedTensor> views;
    for (const auto& [name, shape, values] : weights_) views.push_back({name, shape, values.data()});
    return views;
  }
  std::vector<float>& values(std::size_t index) { return weights_[index].values; }

 private:
  struct Weight {
    std::string name;
    std::vector<std::int64_t> shape;
    std::vector<float> values;
  };
  void add(const std::string& name, std::vector<std::int64_t> shape) {
    std::size_t n = 1;
    for (const std::int64_t size : shape) n *= static_cast<std::size_t>(size);
    std::vector<float> values(n);
    for (float& value : values) value = distribution_(random_);
    weights_.push_back({name, std::move(shape), std::move(values)});
  }
  std::mt19937 random_{3};
  std::normal_distribution<float> distribution_{0.0F, 0.1F};
  std::vector<Weight> weights_;
};

void export_small(const std::string& path, const RandomWeights& weights, StoredType type) {
  export_model(path, small_config(), small_vocabulary().tables, weights.tensors(), type);
}

gguf_context_ptr open_gguf(const std::string& path, ggml_context_ptr* tensors = nullptr) {
  ggml_context* context = nullptr;
  gguf_context_ptr file(
      gguf_init_from_file(path.c_str(), {tensors == nullptr, tensors == nullptr ? nullptr : &context}));
  if (tensors != nullptr) tensors->reset(context);
  if (!file) throw std::runtime_error("not a GGUF file: " + path);
  return file;
}

std::int64_t id_of(const gguf_context* file, const char* key) {
  const std::int64_t id = gguf_find_key(file, key);
  if (id < 0) throw std::runtime_error(std::string("no key ") + key);
  return id;
}
std::string text_at(const gguf_context* file, const char* key) {
  return gguf_get_val_str(file, id_of(file, key));
}
std::vector<std::string> texts_at(const gguf_context* file, const char* key) {
  const std::int64_t id = id_of(file, key);
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < gguf_get_arr_n(file, id); ++i)
    texts.emplace_back(gguf_get_arr_str(file, id, i));
  return texts;
}

TEST(Export, MetadataSaysHowTheModelStreams) {
  const TemporaryFolder folder;
  export_small(folder.file("m.gguf"), RandomWeights(small_config()), StoredType::kFloat16);
  const auto file = open_gguf(folder.file("m.gguf"));
  EXPECT_EQ(gguf_get_val_u32(file.get(), id_of(file.get(), "tandem.version")), 1U);
  EXPECT_EQ(text_at(file.get(), "tandem.paradigm"), "group");
  EXPECT_EQ(gguf_get_val_f32(file.get(), id_of(file.get(), "tandem.phi")), 0.5F);
  EXPECT_EQ(text_at(file.get(), "tandem.end_marker"), "any");
  EXPECT_EQ(gguf_get_val_u32(file.get(), id_of(file.get(), "tandem.decoding.no_repeat_ngram")), 4U);
  EXPECT_THAT(texts_at(file.get(), "tandem.policy.wait_k"), ElementsAre("1", "3", "inf"));
  EXPECT_EQ(text_at(file.get(), "tandem.template.source_prefix"), "<s>");
  EXPECT_EQ(text_at(file.get(), "tandem.template.source_suffix"), "</s>");
  EXPECT_EQ(text_at(file.get(), "tandem.template.end"), "</s>");
  EXPECT_THAT(texts_at(file.get(), "tandem.languages.source"), ElementsAre("en"));
  EXPECT_THAT(texts_at(file.get(), "tandem.languages.target"), ElementsAre("de", "fr"));
  EXPECT_THAT(texts_at(file.get(), "tandem.template.target_prefix"), ElementsAre("<de>", "<fr>"));
  EXPECT_EQ(text_at(file.get(), "tandem.training.summary"), "a test");
  EXPECT_THAT(texts_at(file.get(), "tandem.training.data_licences"), ElementsAre("CC0", "MIT"));
  EXPECT_EQ(gguf_get_val_u32(file.get(), id_of(file.get(), "llama.rope.dimension_count")), 8U);
}

TEST(Export, WeightsComeBackAsTheyWere) {
  const TemporaryFolder folder;
  const RandomWeights weights(small_config());
  for (const StoredType type : {StoredType::kFloat32, StoredType::kFloat16}) {
    export_small(folder.file("m.gguf"), weights, type);
    ggml_context_ptr tensors;
    const auto file = open_gguf(folder.file("m.gguf"), &tensors);
    for (const NamedTensor& expected : weights.tensors()) {
      const ggml_tensor* got = ggml_get_tensor(tensors.get(), expected.name.c_str());
      ASSERT_NE(got, nullptr) << expected.name;
      const bool is_half = type == StoredType::kFloat16 && expected.shape.size() > 1;
      ASSERT_EQ(got->type, is_half ? GGML_TYPE_F16 : GGML_TYPE_F32) << expected.name;
      for (std::size_t i = 0; i < expected.shape.size(); ++i) EXPECT_EQ(got->ne[i], expected.shape[i]);
      for (std::int64_t i = 0; i < ggml_nelements(got); ++i) {
        const float value = is_half ? ggml_fp16_to_fp32(static_cast<const ggml_fp16_t*>(got->data)[i])
                                    : static_cast<const float*>(got->data)[i];
        const float tolerance = is_half ? std::abs(expected.data[i]) / 1024 + 1e-7F : 0.0F;
        ASSERT_NEAR(value, expected.data[i], tolerance) << expected.name << " at " << i;
      }
    }
  }
}

TEST(Export, LibllamaLoadsTheModelAndEvaluatesIt) {
  const TemporaryFolder folder;
  export_small(folder.file("m.gguf"), RandomWeights(small_config()), StoredType::kFloat16);
  route_llama_log();
  llama_model_params parameters = llama_model_default_params();
  parameters.n_gpu_layers = 0;
  const llama_model_ptr model(llama_model_load_from_file(folder.file("m.gguf").c_str(), parameters));
  ASSERT_NE(model, nullptr);
  EXPECT_EQ(llama_model_n_layer(model.get()), 2);
  EXPECT_EQ(llama_model_n_embd(model.get()), 32);
  EXPECT_EQ(llama_model_n_head_kv(model.get()), 2);
  EXPECT_EQ(llama_model_n_ctx_train(model.get()), 256);
  EXPECT_EQ(llama_model_rope_type(model.get()), LLAMA_ROPE_TYPE_NORM);
  const llama_vocab* vocab = llama_model_get_vocab(model.get());
  EXPECT_EQ(llama_vocab_bos(vocab), 1);
  EXPECT_EQ(llama_vocab_eos(vocab), 2);
  EXPECT_FALSE(llama_vocab_get_add_bos(vocab));

  const auto tokens = small_vocabulary().vocabulary->tokenize("Zwei junge Männer");
  std::vector<llama_token> ids(64);
  const std::string text = "Zwei junge Männer";
  const int n =
      llama_tokenize(vocab, text.data(), static_cast<int>(text.size()), ids.data(), 64, true, false);
  ASSERT_EQ(static_cast<std::size_t>(n), tokens.size());
  for (std::size_t i = 0; i < tokens.size(); ++i) EXPECT_EQ(ids[i], to_int(tokens[i]));

  llama_context_params context_parameters = llama_context_default_params();
  context_parameters.n_ctx = 64;
  context_parameters.n_threads = context_parameters.n_threads_batch = 1;
  const llama_context_ptr context(llama_init_from_model(model.get(), context_parameters));
  ASSERT_NE(context, nullptr);
  ASSERT_EQ(llama_decode(context.get(), llama_batch_get_one(ids.data(), n)), 0);
  const float* logits = llama_get_logits_ith(context.get(), -1);
  float least = logits[0], most = logits[0];
  for (int i = 0; i < 1500; ++i) {
    ASSERT_TRUE(std::isfinite(logits[i]));
    least = std::min(least, logits[i]);
    most = std::max(most, logits[i]);
  }
  EXPECT_GT(most - least, 0.1F);
}

TEST(Export, VocabularyOfAModelIsReadBack) {
  const TemporaryFolder folder;
  export_small(folder.file("m.gguf"), RandomWeights(small_config()), StoredType::kFloat32);
  const TokenizerTables tables = read_exported_vocabulary(folder.file("m.gguf"));
  EXPECT_EQ(tables.pieces, small_vocabulary().tables.pieces);
  EXPECT_EQ(tables.special_ids, small_vocabulary().tables.special_ids);
  EXPECT_TRUE(tables.add_space_prefix);
}

TEST(Export, DamagedVocabularyFilesAreOneErrorEach) {
  const TemporaryFolder folder;
  export_vocabulary(folder.file("v.gguf"), small_vocabulary().tables);
  std::ifstream stream(folder.file("v.gguf"), std::ios::binary);
  const std::string whole((std::istreambuf_iterator<char>(stream)), {});
  ASSERT_GT(whole.size(), 10000U);
  for (std::size_t size = 0; size < whole.size() - 32; size += 997) {  // the last bytes may be padding
    const std::string path = folder.write("cut.gguf", whole.substr(0, size));
    EXPECT_THROW(read_exported_vocabulary(path), Error) << "cut to " << size;
  }
  EXPECT_THROW(read_exported_vocabulary(folder.file("none.gguf")), Error);
  std::string other = whole;
  const std::size_t key = other.find("tokenizer.ggml.scores");
  other[key + 20] = 'z';
  EXPECT_THROW(read_exported_vocabulary(folder.write("other.gguf", other)), Error);
}

TEST(Export, DivergedWeightsDoNotOverwriteAGoodFile) {
  const TemporaryFolder folder;
  const std::string path = folder.file("m.gguf");
  RandomWeights weights((small_config()));
  export_small(path, weights, StoredType::kFloat16);
  const auto size = std::filesystem::file_size(path);
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(), 1e5F}) {
    weights.values(2)[5] = bad;
    EXPECT_THROW(export_small(path, weights, StoredType::kFloat16), Error) << bad;
  }
  EXPECT_NO_THROW(export_small(folder.file("f32.gguf"), weights, StoredType::kFloat32));  // 1e5 fits f32
  EXPECT_EQ(std::filesystem::file_size(path), size);
}

TEST(Export, EmbeddingMustHaveOneRowPerPiece) {
  const TemporaryFolder folder;
  TokenizerTables fewer = small_vocabulary().tables;
  fewer.pieces.pop_back();
  const RandomWeights weights(small_config());
  EXPECT_THROW(
      export_model(folder.file("m.gguf"), small_config(), fewer, weights.tensors(), StoredType::kFloat32),
      Error);
}

/// While it lives, no file of this process can grow past `n_bytes`: what a full disk looks like.
class SmallDisk {
 public:
  explicit SmallDisk(rlim_t n_bytes) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit = {n_bytes, before_.rlim_max};
    handler_ = std::signal(SIGXFSZ, SIG_IGN);
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  ~SmallDisk() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit before_ = {};
  void (*handler_)(int) = nullptr;
};

TEST(Export, FullDiskIsAnErrorAndLeavesTheOldFile) {
  const TemporaryFolder folder;
  const std::string path = folder.write("m.gguf", "what was there before");
  const RandomWeights weights(small_config());
  {
    const SmallDisk disk(100000);
    try {
      export_small(path, weights, StoredType::kFloat32);
      ADD_FAILURE() << "expected an error";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kIo);
      EXPECT_THAT(error.what(), HasSubstr("m.gguf: cannot write the file: "));
    }
  }
  EXPECT_EQ(std::filesystem::file_size(path), 21U);
  const auto begin = std::filesystem::directory_iterator(folder.path());
  EXPECT_EQ(std::distance(begin, std::filesystem::directory_iterator()), 1);  // no temporary file is left
  EXPECT_THROW(export_small(folder.file("no/such/folder/m.gguf"), weights, StoredType::kFloat32), Error);
}

}  // namespace
}  // namespace tandem
