#include "model/gguf_writer.h"

#include <fmt/core.h>
#include <ggml.h>
#include <gguf.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <utility>

#include "model/gguf_file.h"

namespace tandem::testing {

namespace {

constexpr int kNormalPiece = 1;

}  // namespace

GgufWriter::GgufWriter(unsigned seed) : random_(seed) {
  context_.reset(ggml_init({std::size_t{512} << 20, nullptr, false}));
  file_.reset(gguf_init_empty());
}

void GgufWriter::matrix(const std::string& name, int n_in, int n_out) {
  add(name, n_in, n_out, 0.0F, 1.0F / std::sqrt(static_cast<float>(n_in)));
}

void GgufWriter::vector(const std::string& name, int n, float mean, float deviation) {
  add(name, n, 1, mean, deviation);
}

void GgufWriter::embeddings(const std::string& name, int width, int n_rows) {
  add(name, width, n_rows, 0.0F, 0.3F);
}

void GgufWriter::values(const std::string& name, int n_in, int n_out, std::span<const float> values) {
  ggml_tensor* tensor = add(name, n_in, n_out);
  if (tensor == nullptr) return;
  if (static_cast<std::size_t>(ggml_nelements(tensor)) != values.size())
    throw std::runtime_error(name + ": values do not fill the tensor");
  std::copy(values.begin(), values.end(), static_cast<float*>(tensor->data));
}

void GgufWriter::write(const std::string& path) const {
  if (!gguf_write_to_file(file_.get(), path.c_str(), false)) throw std::runtime_error("cannot write " + path);
}

void GgufWriter::add(std::string name, int n_in, int n_out, float mean, float deviation) {
  ggml_tensor* tensor = add(std::move(name), n_in, n_out);
  if (tensor == nullptr) return;
  std::normal_distribution<float> normal(mean, deviation);
  auto* values = static_cast<float*>(tensor->data);
  for (std::int64_t i = 0; i < ggml_nelements(tensor); ++i) values[i] = normal(random_);
}

ggml_tensor* GgufWriter::add(std::string name, int n_in, int n_out) {
  if (tamper) tamper(name, n_in, n_out);
  if (name.empty()) return nullptr;
  ggml_tensor* tensor = n_out == 1 ? ggml_new_tensor_1d(context_.get(), GGML_TYPE_F32, n_in)
                                   : ggml_new_tensor_2d(context_.get(), GGML_TYPE_F32, n_in, n_out);
  ggml_set_name(tensor, name.c_str());
  gguf_add_tensor(file_.get(), tensor);
  return tensor;
}

void set_texts(gguf_context* file, const char* key, const std::vector<std::string>& texts) {
  std::vector<const char*> pointers;
  for (const std::string& text : texts) pointers.push_back(text.c_str());
  gguf_set_arr_str(file, key, pointers.data(), pointers.size());
}

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

}  // namespace tandem::testing
