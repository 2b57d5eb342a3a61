#include "model/tiny_family.h"

#include <fmt/core.h>
#include <gguf.h>

namespace tandem::testing {

namespace {

class FamilyWriter {
 public:
  FamilyWriter(const FamilyShape& shape, const FamilyEdits& edits) : shape_(shape), writer_(shape.seed) {
    writer_.tamper = edits.tensor;
  }

  GgufWriter& write() {
    const int n_vocab = add_vocabulary(writer_.file(), 0);
    add_config();
    if (is_gemma()) {
      writer_.matrix("token_embd.weight", shape_.n_embd, n_vocab);  // is the head too, and is scaled up
    } else {
      writer_.embeddings("token_embd.weight", shape_.n_embd, n_vocab);
    }
    add_rope_factors();
    for (int i = 0; i < shape_.n_layers; ++i) add_layer(i);
    writer_.vector("output_norm.weight", shape_.n_embd);
    if (!is_gemma()) writer_.matrix("output.weight", shape_.n_embd, n_vocab);
    return writer_;
  }

 private:
  bool is(const char* architecture) const { return shape_.architecture == architecture; }
  bool is_gemma() const { return is("gemma2") || is("gemma3"); }

  void set(const char* name, int value) {
    gguf_set_val_u32(writer_.file(), key(name).c_str(), static_cast<std::uint32_t>(value));
  }
  void set(const char* name, float value) { gguf_set_val_f32(writer_.file(), key(name).c_str(), value); }
  std::string key(const char* name) const { return shape_.architecture + "." + name; }

  void add_config() {
    gguf_set_val_str(writer_.file(), "general.architecture", shape_.architecture.c_str());
    set("block_count", shape_.n_layers);
    set("embedding_length", shape_.n_embd);
    set("feed_forward_length", shape_.n_ff);
    set("attention.head_count", shape_.n_heads);
    set("attention.head_count_kv", shape_.n_kv_heads);
    set("attention.key_length", shape_.head_dim);
    set("attention.value_length", shape_.head_dim);
    set("rope.dimension_count", shape_.n_rope_dims);
    set("context_length", 2048);
    set("rope.freq_base", is("gemma3") ? 1e6F : 20000.0F);
    set("attention.layer_norm_rms_epsilon", 1e-5F);
    if (is("gemma2")) set("attn_logit_softcapping", 2.0F);
    if (is("gemma2")) set("final_logit_softcapping", 3.0F);
    if (is_gemma() && shape_.has_window) set("attention.sliding_window", kTinyWindow);
    if (is("gemma3") && shape_.has_window) set("attention.sliding_window_pattern", 3);
    if (is("phi3") && shape_.rope_factors) set("rope.scaling.original_context_length", 1024);
    if (is("phi3") && shape_.rope_factors) set("rope.scaling.attn_factor", 1.19F);
  }

  void add_rope_factors() {
    if (!shape_.rope_factors) return;
    const int n = shape_.n_rope_dims / 2;
    if (is("llama")) writer_.vector("rope_freqs.weight", n, 4.0F, 0.5F);
    if (is("phi3")) writer_.vector("rope_factors_long.weight", n, 8.0F, 1.0F);
    if (is("phi3")) writer_.vector("rope_factors_short.weight", n, 1.5F, 0.1F);
  }

  void add_layer(int index) {
    const auto name = [&](const char* part) { return fmt::format("blk.{}.{}", index, part); };
    const int n_q = shape_.n_heads * shape_.head_dim;
    const int n_kv = shape_.n_kv_heads * shape_.head_dim;
    writer_.vector(name("attn_norm.weight"), shape_.n_embd);
    if (is("phi3")) {
      writer_.matrix(name("attn_qkv.weight"), shape_.n_embd, n_q + 2 * n_kv);
    } else {
      writer_.matrix(name("attn_q.weight"), shape_.n_embd, n_q);
      writer_.matrix(name("attn_k.weight"), shape_.n_embd, n_kv);
      writer_.matrix(name("attn_v.weight"), shape_.n_embd, n_kv);
    }
    if (is("qwen2")) {
      writer_.vector(name("attn_q.bias"), n_q, 0.0F, 0.5F);
      writer_.vector(name("attn_k.bias"), n_kv, 0.0F, 0.5F);
      writer_.vector(name("attn_v.bias"), n_kv, 0.0F, 0.5F);
    }
    if (is("qwen3") || is("gemma3")) {
      writer_.vector(name("attn_q_norm.weight"), shape_.head_dim);
      writer_.vector(name("attn_k_norm.weight"), shape_.head_dim);
    }
    writer_.matrix(name("attn_output.weight"), n_q, shape_.n_embd);
    if (is_gemma()) writer_.vector(name("post_attention_norm.weight"), shape_.n_embd);
    writer_.vector(name("ffn_norm.weight"), shape_.n_embd);
    if (!is("phi3")) writer_.matrix(name("ffn_gate.weight"), shape_.n_embd, shape_.n_ff);
    writer_.matrix(name("ffn_up.weight"), shape_.n_embd, (is("phi3") ? 2 : 1) * shape_.n_ff);
    writer_.matrix(name("ffn_down.weight"), shape_.n_ff, shape_.n_embd);
    if (is_gemma()) writer_.vector(name("post_ffw_norm.weight"), shape_.n_embd);
  }

  const FamilyShape& shape_;
  GgufWriter writer_;
};

}  // namespace

const std::vector<std::pair<std::string, FamilyShape>>& family_shapes() {
  static const std::vector<std::pair<std::string, FamilyShape>> shapes = {
      {"llama", {.architecture = "llama"}},
      {"llama3", {.architecture = "llama", .rope_factors = true}},
      {"qwen2", {.architecture = "qwen2"}},
      {"qwen3", {.architecture = "qwen3", .head_dim = 128, .n_rope_dims = 128}},
      {"gemma2", {.architecture = "gemma2", .head_dim = 128, .n_rope_dims = 128}},
      {"gemma3",
       {.architecture = "gemma3", .n_layers = 4, .n_kv_heads = 1, .head_dim = 128, .n_rope_dims = 128}},
      {"gemma3_without_window", {.architecture = "gemma3", .has_window = false}},
      {"phi3", {.architecture = "phi3", .n_rope_dims = 48}},
      {"phi3_long", {.architecture = "phi3", .rope_factors = true}},
  };
  return shapes;
}

void write_tiny_family(const std::string& path, const FamilyShape& shape, const FamilyEdits& edits) {
  FamilyWriter family(shape, edits);
  GgufWriter& writer = family.write();
  if (edits.metadata) edits.metadata(writer.file());
  writer.write(path);
}

}  // namespace tandem::testing
