#include "model/stories_model.h"

#include <fmt/core.h>
#include <gguf.h>

#include <array>
#include <cstring>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <utility>
#include <vector>

#include "model/gguf_writer.h"

namespace tandem::testing {

namespace {

enum PieceType : std::int32_t { kNormal = 1, kUnknown = 2, kControl = 3, kByte = 6 };

/// Little-endian numbers of a file, in their order.
class Reader {
 public:
  explicit Reader(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    bytes_.assign(std::istreambuf_iterator<char>(file), {});
    if (bytes_.empty()) throw std::runtime_error("cannot read " + path);
  }

  bool is_at_end() const { return at_ == bytes_.size(); }
  std::string text(std::size_t n) {
    if (n > bytes_.size() - at_) throw std::runtime_error("llama2.c file: cut short");
    at_ += n;
    return bytes_.substr(at_ - n, n);
  }
  template <typename Number>
  Number number() {
    Number value;
    std::memcpy(&value, text(sizeof value).data(), sizeof value);
    return value;
  }
  std::vector<float> reals(int n) {
    std::vector<float> values(static_cast<std::size_t>(n));
    const std::string raw = text(values.size() * sizeof(float));
    std::memcpy(values.data(), raw.data(), raw.size());
    return values;
  }

 private:
  std::string bytes_;
  std::size_t at_ = 0;
};

/// tok512.bin: the longest piece's length, then score, length and bytes of each. Its spaces are GGUF's marks.
void add_pieces(gguf_context* file, Reader reader) {
  (void)reader.number<std::int32_t>();
  std::vector<std::string> pieces;
  std::vector<float> scores;
  std::vector<std::int32_t> types;
  while (!reader.is_at_end()) {
    scores.push_back(reader.number<float>());
    std::string piece;
    for (const char c : reader.text(reader.number<std::uint32_t>()))
      piece += c == ' ' ? "\u2581" : std::string(1, c);
    const std::size_t id = pieces.size();
    if (id == 1 || id == 2) piece = piece.substr(1, piece.size() - 2);  // "\n<s>\n"
    pieces.push_back(piece);
    types.push_back(id == 0 ? kUnknown : id <= 2 ? kControl : id < 3 + 256 ? kByte : kNormal);
  }
  gguf_set_val_str(file, "tokenizer.ggml.model", "llama");
  set_texts(file, "tokenizer.ggml.tokens", pieces);
  gguf_set_arr_data(file, "tokenizer.ggml.scores", GGUF_TYPE_FLOAT32, scores.data(), scores.size());
  gguf_set_arr_data(file, "tokenizer.ggml.token_type", GGUF_TYPE_INT32, types.data(), types.size());
  gguf_set_val_u32(file, "tokenizer.ggml.unknown_token_id", 0);
  gguf_set_val_u32(file, "tokenizer.ggml.bos_token_id", 1);
  gguf_set_val_u32(file, "tokenizer.ggml.eos_token_id", 2);
}

/// Seven numbers, in the order of the file.
struct Shape {
  int n_embd, n_ff, n_layers, n_heads, n_kv_heads, n_vocab, n_context;
};

void add_shape(gguf_context* file, const Shape& shape) {
  gguf_set_val_str(file, "general.architecture", "llama");
  const std::pair<const char*, int> numbers[] = {{"block_count", shape.n_layers},
                                                 {"embedding_length", shape.n_embd},
                                                 {"feed_forward_length", shape.n_ff},
                                                 {"attention.head_count", shape.n_heads},
                                                 {"attention.head_count_kv", shape.n_kv_heads},
                                                 {"context_length", shape.n_context},
                                                 {"rope.dimension_count", shape.n_embd / shape.n_heads}};
  for (const auto& [name, number] : numbers)
    gguf_set_val_u32(file, fmt::format("llama.{}", name).c_str(), static_cast<std::uint32_t>(number));
  gguf_set_val_f32(file, "llama.attention.layer_norm_rms_epsilon", 1e-5F);
}

/// One kind of tensor after another, each of all layers. What follows the last norm are tables of RoPE.
void add_weights(GgufWriter& writer, const Shape& shape, Reader& reader) {
  const int n_kv = shape.n_embd / shape.n_heads * shape.n_kv_heads;
  const auto add = [&](const std::string& name, int n_in, int n_out) {
    writer.values(name + ".weight", n_in, n_out, reader.reals(n_in * n_out));
  };
  const auto add_layers = [&](const char* part, int n_in, int n_out) {
    for (int i = 0; i < shape.n_layers; ++i) add(fmt::format("blk.{}.{}", i, part), n_in, n_out);
  };
  add("token_embd", shape.n_embd, shape.n_vocab);  // is the head too
  add_layers("attn_norm", shape.n_embd, 1);
  add_layers("attn_q", shape.n_embd, shape.n_embd);
  add_layers("attn_k", shape.n_embd, n_kv);
  add_layers("attn_v", shape.n_embd, n_kv);
  add_layers("attn_output", shape.n_embd, shape.n_embd);
  add_layers("ffn_norm", shape.n_embd, 1);
  add_layers("ffn_gate", shape.n_embd, shape.n_ff);
  add_layers("ffn_down", shape.n_ff, shape.n_embd);
  add_layers("ffn_up", shape.n_embd, shape.n_ff);
  add("output_norm", shape.n_embd, 1);
}

}  // namespace

void write_stories_model(const std::string& path) {
  const std::string folder = std::string(TANDEM_TEST_DIR) + "/golden/stories260k/";
  Reader reader(folder + "stories260K.bin");
  std::array<std::int32_t, 7> head{};
  for (std::int32_t& number : head) number = reader.number<std::int32_t>();
  const Shape shape{head[0], head[1], head[2], head[3], head[4], head[5], head[6]};
  GgufWriter writer(0);
  add_shape(writer.file(), shape);
  add_pieces(writer.file(), Reader(folder + "tok512.bin"));
  add_weights(writer, shape, reader);
  writer.write(path);
}

}  // namespace tandem::testing
