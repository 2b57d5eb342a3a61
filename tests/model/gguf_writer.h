// Writes GGUF files, most with random weights: the tests' own, for every family by llama.cpp's names.
#pragma once

#include <ggml-cpp.h>

#include <functional>
#include <random>
#include <span>
#include <string>
#include <vector>

namespace tandem::testing {

class GgufWriter {
 public:
  explicit GgufWriter(unsigned seed);

  gguf_context* file() { return file_.get(); }
  /// Asked before each tensor is added, with its name and sizes, to make a hostile file: may change all
  /// three, and leaves the tensor out with an empty name.
  std::function<void(std::string& name, int& n_in, int& n_out)> tamper;

  /// Random matrix whose products keep the size of what they are given. f32, as all that follow.
  void matrix(const std::string& name, int n_in, int n_out);
  /// Gains around `mean`, or biases around 0.
  void vector(const std::string& name, int n, float mean = 1.0F, float deviation = 0.2F);
  void embeddings(const std::string& name, int width, int n_rows);
  /// These values, [n_out, n_in], n_in running fastest.
  void values(const std::string& name, int n_in, int n_out, std::span<const float> values);

  /// Throws std::runtime_error.
  void write(const std::string& path) const;

 private:
  void add(std::string name, int n_in, int n_out, float mean, float deviation);
  /// Its values are the caller's to set. None if `tamper` leaves the tensor out.
  ggml_tensor* add(std::string name, int n_in, int n_out);

  std::mt19937 random_;
  ggml_context_ptr context_;
  gguf_context_ptr file_;
};

void set_texts(gguf_context* file, const char* key, const std::vector<std::string>& texts);

/// Copies the vocabulary of tests/text, filled up with made-up words to `n_vocab` if that is more. Returns
/// its size.
int add_vocabulary(gguf_context* file, int n_vocab);

}  // namespace tandem::testing
