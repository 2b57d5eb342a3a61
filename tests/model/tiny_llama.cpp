#include "model/tiny_llama.h"

#include <fmt/core.h>
#include <ggml-cpp.h>
#include <ggml.h>
#include <gguf.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <fstream>
#include <random>
#include <sstream>

#include "model/gguf_file.h"
#include "model/quantize.h"

namespace tandem::testing {

namespace {

constexpr int kNormalPiece = 1;

class Writer {
 public:
  Writer(const TinyShape& shape) : random_(shape.seed) {
    context_.reset(ggml_init({std::size_t{512} << 20, nullptr, false}));
    file_.reset(gguf_init_empty());
  }

  gguf_context* file() { return file_.get(); }

  /// Random matrix whose products keep the size of what they are given.
  void matrix(const std::string& name, int n_in, int n_out) {
    add(name, ggml_new_tensor_2d(context_.get(), GGML_TYPE_F32, n_in, n_out), 0.0F,
        1.0F / std::sqrt(static_cast<float>(n_in)));
  }
  void vector(const std::string& name, int n) {
    add(name, ggml_new_tensor_1d(context_.get(), GGML_TYPE_F32, n), 1.0F, 0.2F);
  }
  void embeddings(const std::string& name, int width, int n_rows) {
    add(name, ggml_new_tensor_2d(context_.get(), GGML_TYPE_F32, width, n_rows), 0.0F, 0.3F);
  }

 private:
  void add(const std::string& name, ggml_tensor* tensor, float mean, float deviation) {
    std::normal_distribution<float> normal(mean, deviation);
    auto* values = static_cast<float*>(tensor->data);
    for (std::int64_t i = 0; i < ggml_nelements(tensor); ++i) values[i] = normal(random_);
    ggml_set_name(tensor, name.c_str());
    gguf_add_tensor(file_.get(), tensor);
  }

  std::mt19937 random_;
  ggml_context_ptr context_;
  gguf_context_ptr file_;
};

void set_texts(gguf_context* file, const char* key, const std::vector<std::string>& texts) {
  std::vector<const char*> pointers;
  for (const std::string& text : texts) pointers.push_back(text.c_str());
  gguf_set_arr_str(file, key, pointers.data(), pointers.size());
}

/// Copies the vocabulary of tests/text and fills it up. Returns its size.
int add_vocabulary(gguf_context* file, int n_vocab) {
  const auto fixture = GgufFile::open(std::string(TANDEM_TEST_DIR) + "/text/fixture.gguf");
  gguf_set_kv(file, fixture->context());
  std::vector<std::string> pieces = fixture->texts("tokenizer.ggml.tokens");
  std::vector<float> scores = *fixture->find_reals("tokenizer.ggml.scores");
  std::vector<std::int32_t> types = *fixture->find_integers("tokenizer.ggml.token_type");
  while (static_cast<int>(pieces.size()) < n_vocab) {
    scores.push_back(-1e4F - static_cast<float>(pieces.size()));
    types.push_back(kNormalPiece);
    pieces.push_back(fmt::format("\u2581filler{}", pieces.size()));
  }
  set_texts(file, "tokenizer.ggml.tokens", pieces);
  gguf_set_arr_data(file, "tokenizer.ggml.scores", GGUF_TYPE_FLOAT32, scores.data(), scores.size());
  gguf_set_arr_data(file, "tokenizer.ggml.token_type", GGUF_TYPE_INT32, types.data(), types.size());
  return static_cast<int>(pieces.size());
}

void add_config(gguf_context* file, const TinyShape& shape) {
  const auto set = [&](const char* key, int value) {
    gguf_set_val_u32(file, key, static_cast<std::uint32_t>(value));
  };
  gguf_set_val_str(file, "general.architecture", "llama");
  set("llama.block_count", shape.n_layers);
  set("llama.embedding_length", shape.n_embd);
  set("llama.feed_forward_length", shape.n_ff);
  set("llama.attention.head_count", shape.n_heads);
  set("llama.attention.head_count_kv", shape.n_kv_heads);
  set("llama.rope.dimension_count", shape.n_embd / shape.n_heads);
  set("llama.context_length", 2048);
  gguf_set_val_f32(file, "llama.rope.freq_base", 10000.0F);
  gguf_set_val_f32(file, "llama.attention.layer_norm_rms_epsilon", 1e-5F);
}

void add_layer(Writer& writer, const TinyShape& shape, int index) {
  const auto name = [&](const char* part) { return fmt::format("blk.{}.{}.weight", index, part); };
  const int n_embd_kv = shape.n_embd / shape.n_heads * shape.n_kv_heads;
  writer.vector(name("attn_norm"), shape.n_embd);
  writer.matrix(name("attn_q"), shape.n_embd, shape.n_embd);
  writer.matrix(name("attn_k"), shape.n_embd, n_embd_kv);
  writer.matrix(name("attn_v"), shape.n_embd, n_embd_kv);
  writer.matrix(name("attn_output"), shape.n_embd, shape.n_embd);
  writer.vector(name("ffn_norm"), shape.n_embd);
  writer.matrix(name("ffn_gate"), shape.n_embd, shape.n_ff);
  writer.matrix(name("ffn_up"), shape.n_embd, shape.n_ff);
  writer.matrix(name("ffn_down"), shape.n_ff, shape.n_embd);
}

}  // namespace

TemporaryFolder::TemporaryFolder() {
  std::string name = (std::filesystem::temp_directory_path() / "tandem-test-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("cannot make a temporary folder");
  path_ = name;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

void write_tiny_llama(const std::string& path, const TinyShape& shape,
                      const std::function<void(gguf_context*)>& edit) {
  Writer writer(shape);
  const int n_vocab = add_vocabulary(writer.file(), shape.n_vocab);
  add_config(writer.file(), shape);
  writer.embeddings("token_embd.weight", shape.n_embd, n_vocab);
  for (int i = 0; i < shape.n_layers; ++i) add_layer(writer, shape, i);
  writer.vector("output_norm.weight", shape.n_embd);
  if (!shape.tied) writer.matrix("output.weight", shape.n_embd, n_vocab);
  if (edit) edit(writer.file());
  if (!gguf_write_to_file(writer.file(), path.c_str(), false))
    throw std::runtime_error("cannot write " + path);
}

void write_tiny_llama(const std::string& path, const TinyShape& shape, const std::string& type) {
  const std::string plain = path + ".f32";
  write_tiny_llama(plain, shape);
  quantize_file(plain, path, type);
  std::filesystem::remove(plain);
}

void add_stream_metadata(gguf_context* file) {
  gguf_set_val_u32(file, "tandem.version", 1);
  gguf_set_val_str(file, "tandem.paradigm", "group");
  gguf_set_val_f32(file, "tandem.phi", 0.0F);
  gguf_set_val_str(file, "tandem.end_marker", "any");
  set_texts(file, "tandem.policy.wait_k", {"3", "inf"});
  gguf_set_val_str(file, "tandem.template.source_prefix", "<s>");
  gguf_set_val_str(file, "tandem.template.source_suffix", "</s>");
  gguf_set_val_str(file, "tandem.template.end", "</s>");
  set_texts(file, "tandem.languages.source", {"en"});
  set_texts(file, "tandem.languages.target", {"de", "fr"});
  set_texts(file, "tandem.template.target_prefix", {"<s>de", "<s>fr"});
  gguf_set_val_str(file, "tandem.training.summary", "none: random weights");
  set_texts(file, "tandem.training.data_licences", {"CC0-1.0"});
}

std::string read_bytes(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream bytes;
  bytes << in.rdbuf();
  return bytes.str();
}

void write_bytes(const std::string& path, std::string_view bytes) {
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

}  // namespace tandem::testing
