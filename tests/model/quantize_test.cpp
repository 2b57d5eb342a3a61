#include "model/quantize.h"

#include <ggml.h>
#include <gguf.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cmath>
#include <cstring>
#include <filesystem>

#include "model/gguf_file.h"
#include "model/tiny_llama.h"
#include "model/weight_types.h"
#include "model/weights.h"
#include "tandem/error.h"

namespace tandem {
namespace {

using testing::TemporaryFolder;

class Quantize : public ::testing::Test {
 protected:
  Quantize() {
    testing::write_tiny_llama(input_, {.n_layers = 1}, [](gguf_context* file) {
      testing::add_stream_metadata(file);
      gguf_set_val_u32(file, "general.file_type", 0);
    });
  }

  TemporaryFolder folder_;
  std::string input_ = folder_.file("in.gguf");
  std::string output_ = folder_.file("out.gguf");
};

TEST_F(Quantize, MatricesChangeTypeAndTheRestStays) {
  double last = 0;
  const RewriteResult result = quantize_file(input_, output_, "Q8_0", [&](double done) { last = done; });
  EXPECT_GT(last, 0.9);
  const auto before = GgufFile::open(input_);
  const auto after = GgufFile::open(output_);
  ASSERT_EQ(after->tensors().size(), before->tensors().size());
  for (const StoredTensor& tensor : after->tensors()) {
    const StoredTensor& old = *before->find_tensor(tensor.name);
    EXPECT_EQ(tensor.shape, old.shape);
    EXPECT_EQ(tensor.type, old.n_dims == 2 ? GGML_TYPE_Q8_0 : GGML_TYPE_F32) << tensor.name;
    if (old.n_dims == 2) continue;
    EXPECT_EQ(std::memcmp(tensor.data.data(), old.data.data(), old.data.size()), 0) << tensor.name;
  }
  EXPECT_EQ(result.n_matrices, 9);
  EXPECT_EQ(result.bytes_before, std::filesystem::file_size(input_));
  EXPECT_LT(result.bytes_after, result.bytes_before / 3);
  for (const std::string& key : before->keys()) {
    if (key == "general.file_type") continue;
    EXPECT_GE(gguf_find_key(after->context(), key.c_str()), 0) << key;
  }
  EXPECT_EQ(after->texts("tandem.languages.target"), before->texts("tandem.languages.target"));
}

TEST_F(Quantize, EveryTypeKeepsRowsNearWhatTheyWere) {
  const auto before = GgufFile::open(input_);
  const RowTable exact(*before->find_tensor("token_embd.weight"));
  std::vector<float> expected(256);
  std::vector<float> got(256);
  exact.read(17, expected);
  struct Loss {
    const char* type;
    float relative_error;
  };
  for (const Loss& loss : {Loss{"f32", 0},
                           {"f16", 1e-3F},
                           {"bf16", 5e-3F},
                           {"q8_0", 1e-2F},
                           {"q6_k", 3e-2F},
                           {"q5_k", 5e-2F},
                           {"q4_k", 0.12F},
                           {"q4_0", 0.15F}}) {
    quantize_file(input_, output_, loss.type);
    const auto after = GgufFile::open(output_);
    RowTable(*after->find_tensor("token_embd.weight")).read(17, got);
    double error = 0;
    double size = 0;
    for (std::size_t i = 0; i < got.size(); ++i) {
      error += std::pow(got[i] - expected[i], 2);
      size += std::pow(expected[i], 2);
    }
    EXPECT_TRUE(std::sqrt(error / size) <= static_cast<double>(loss.relative_error))
        << loss.type << ": " << std::sqrt(error / size);
  }
}

TEST_F(Quantize, RefusesWithoutLeavingAFile) {
  EXPECT_THROW(quantize_file(input_, output_, "q9_z"), Error);
  const std::string narrow = folder_.file("narrow.gguf");
  testing::write_tiny_llama(narrow, {.n_layers = 1, .n_embd = 64, .n_ff = 64});
  EXPECT_THROW(quantize_file(narrow, output_, "q4_k"), Error) << "64 is no multiple of 256";
  EXPECT_THROW(quantize_file(folder_.file("absent.gguf"), output_, "q8_0"), Error);
  EXPECT_FALSE(std::filesystem::exists(output_));
  EXPECT_THROW(quantize_file(input_, folder_.file("no/such/folder.gguf"), "q8_0"), Error);
  ASSERT_EQ(::mkfifo(folder_.file("pipe").c_str(), 0600), 0);
  EXPECT_THROW(quantize_file(input_, folder_.file("pipe"), "q8_0"), Error) << "a pipe is not replaced";
}

TEST_F(Quantize, AFullDiskIsAnError) {
  // Every write to /dev/full fails; its folder is the one place where the temporary file cannot be made
  // either.
  try {
    quantize_file(input_, "/dev/full/out.gguf", "q8_0");
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kIo);
  }
}

}  // namespace
}  // namespace tandem
