// Hostile files: cut at every length, bytes flipped, counts that lie. Each is one Error, never a crash; a
// file that loads in spite of a flipped byte must also evaluate.
#include "model/gguf_file.h"

#include <fmt/core.h>
#include <gguf.h>
#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <random>

#include "model/family.h"
#include "model/model.h"
#include "model/rows.h"
#include "model/stream_metadata.h"
#include "model/tiny_llama.h"
#include "tandem/error.h"
#include "text/vocabulary.h"

namespace tandem {
namespace {

using testing::TemporaryFolder;
using testing::write_bytes;

std::string error_of(const std::string& path) {
  try {
    Model::load(path);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

class HostileFile : public ::testing::Test {
 protected:
  HostileFile() {
    // One narrow layer, so that the header is most of the file.
    testing::write_tiny_llama(
        folder_.file("sound.gguf"),
        {.n_layers = 1, .n_embd = 32, .n_heads = 2, .n_kv_heads = 1, .n_ff = 32, .tied = true},
        testing::add_stream_metadata);
    sound_ = testing::read_bytes(folder_.file("sound.gguf"));
  }

  std::string load(std::string_view bytes) {
    write_bytes(path_, bytes);
    return error_of(path_);
  }

  std::string edited(const std::function<void(gguf_context*)>& edit) {
    testing::write_tiny_llama(path_, {.n_layers = 1, .n_embd = 32, .n_heads = 2, .n_kv_heads = 1, .n_ff = 32},
                              [&](gguf_context* file) {
                                testing::add_stream_metadata(file);
                                edit(file);
                              });
    return error_of(path_);
  }

  TemporaryFolder folder_;
  std::string path_ = folder_.file("hostile.gguf");
  std::string sound_;
};

TEST_F(HostileFile, SoundOneLoads) {
  EXPECT_EQ(load(sound_), "no error");
}

TEST_F(HostileFile, TruncatedAtAnyByteIsOneError) {
  // Every length in the first kilobyte and near the end, then in steps that share no factor with
  // alignment.
  for (std::size_t size = 0; size < sound_.size();
       size += size < 1024 || size + 300 > sound_.size() ? 1 : 97) {
    const std::string error = load(std::string_view(sound_).substr(0, size));
    ASSERT_NE(error, "no error") << size << " of " << sound_.size() << " bytes";
    ASSERT_NE(error.find(path_), std::string::npos) << error;
    ASSERT_EQ(error.find('\n'), std::string::npos) << error;
  }
}

TEST_F(HostileFile, FlippedBytesNeverCrash) {
  std::mt19937 random(99);
  const auto file = GgufFile::open(folder_.file("sound.gguf"));
  const auto header = static_cast<std::size_t>(file->tensors().front().data.data() - file->mapping().data());
  int n_loaded = 0;
  for (int round = 0; round < 600; ++round) {
    std::string bytes = sound_;
    for (auto n = random() % 3 + 1; n > 0; --n) bytes[random() % header] = static_cast<char>(random());
    if (load(bytes) != "no error") continue;
    ++n_loaded;
    const auto model = Model::load(path_);
    const auto network = model->make_network({.n_slots = 8});
    testing::TestSession session(*network, 8);
    session.source(5);
    session.evaluate();
  }
  EXPECT_GT(n_loaded, 0) << "some flips only change a piece or a score";
}

TEST_F(HostileFile, HugeCountsInTheHeaderAreRefused) {
  for (const std::size_t offset : {std::size_t{8}, std::size_t{16}}) {  // tensors, keys
    for (const std::uint64_t count :
         {~std::uint64_t{0}, std::uint64_t{1} << 62, std::uint64_t{1} << 32, std::uint64_t{1} << 20}) {
      std::string bytes = sound_;
      std::memcpy(bytes.data() + offset, &count, sizeof count);
      EXPECT_NE(load(bytes), "no error");
    }
  }
}

TEST_F(HostileFile, NotAModelAtAll) {
  EXPECT_NE(load("").find("not a GGUF file"), std::string::npos);
  EXPECT_NE(load("GGML, an older kind of file").find("not a GGUF file"), std::string::npos);
  EXPECT_NE(load(std::string("GGUF\x01\0\0\0", 8) + std::string(16, '\0')).find("version 2 to 3, got 1"),
            std::string::npos);
  EXPECT_NE(error_of(folder_.file("absent.gguf")).find("cannot open"), std::string::npos);
  EXPECT_NE(error_of(folder_.file("")).find("regular file"), std::string::npos);
}

TEST_F(HostileFile, WrongTypesAreNamed) {
  const std::string error =
      edited([](gguf_context* file) { gguf_set_val_str(file, "llama.block_count", "one"); });
  EXPECT_NE(error.find("key 'llama.block_count': expected an integer of at most 63 bits, got str"),
            std::string::npos)
      << error;
}

struct BadValue {
  const char* key;
  std::int64_t value;
};

TEST_F(HostileFile, AbsurdConfigurationsAreRefused) {
  const BadValue cases[] = {
      {"llama.block_count", 0},
      {"llama.block_count", 2},  // the second layer's tensors are missing
      {"llama.block_count", 4000000000},
      {"llama.embedding_length", 33},
      {"llama.embedding_length", 0},
      {"llama.feed_forward_length", 31},
      {"llama.attention.head_count", 0},
      {"llama.attention.head_count", 3},
      {"llama.attention.head_count", 1000000},
      {"llama.attention.head_count_kv", 0},
      {"llama.attention.head_count_kv", 3},
      {"llama.rope.dimension_count", 15},
      {"llama.rope.dimension_count", 64},
      {"llama.context_length", 0},
      {"llama.expert_count", 8},
      {"llama.vocab_size", 3},
      {"llama.attention.value_length", 7},
  };
  for (const BadValue& bad : cases) {
    const std::string error = edited(
        [&](gguf_context* file) { gguf_set_val_u32(file, bad.key, static_cast<std::uint32_t>(bad.value)); });
    EXPECT_NE(error, "no error") << bad.key << " = " << bad.value;
  }
  for (const float base :
       {0.0F, -1.0F, std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    EXPECT_NE(edited([&](gguf_context* file) { gguf_set_val_f32(file, "llama.rope.freq_base", base); }),
              "no error");
    EXPECT_NE(edited([&](gguf_context* file) {
                gguf_set_val_f32(file, "llama.attention.layer_norm_rms_epsilon", base);
              }),
              "no error");
  }
  EXPECT_NE(edited([](gguf_context* file) { gguf_set_val_str(file, "general.architecture", "gpt2"); }),
            "no error");
  EXPECT_NE(edited([](gguf_context* file) { gguf_set_val_str(file, "llama.rope.scaling.type", "yarn"); }),
            "no error");
  EXPECT_NE(edited([](gguf_context* file) { gguf_remove_key(file, "general.architecture"); }), "no error");
}

TEST_F(HostileFile, TensorsThatTheGraphWouldIgnoreAreRefused) {
  const std::size_t name = sound_.find("rope");  // keys only: the fixture has no such tensor
  ASSERT_NE(name, std::string::npos);
  std::string bytes = sound_;
  const std::size_t tensor = bytes.find("blk.0.attn_q.weight");
  bytes.replace(tensor, 19, "blk.0.attn_q.surplu");
  EXPECT_NE(load(bytes).find("'blk.0.attn_q.weight' is missing"), std::string::npos);
}

}  // namespace
}  // namespace tandem
