#include "model/tiny_llama.h"

#include <fmt/core.h>
#include <gguf.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <stdexcept>

#include "model/gguf_writer.h"
#include "model/quantize.h"

namespace tandem::testing {

namespace {

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

void add_layer(GgufWriter& writer, const TinyShape& shape, int index) {
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
  GgufWriter writer(shape.seed);
  const int n_vocab = add_vocabulary(writer.file(), shape.n_vocab);
  add_config(writer.file(), shape);
  writer.embeddings("token_embd.weight", shape.n_embd, n_vocab);
  for (int i = 0; i < shape.n_layers; ++i) add_layer(writer, shape, i);
  writer.vector("output_norm.weight", shape.n_embd);
  if (!shape.tied) writer.matrix("output.weight", shape.n_embd, n_vocab);
  if (edit) edit(writer.file());
  writer.write(path);
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
