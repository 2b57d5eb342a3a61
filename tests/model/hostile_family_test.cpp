// Hostile files of every family: each tensor missing, of another shape, or one too many; each number absurd.
// One Error each, that names file, place, and what was expected.
#include <fmt/core.h>
#include <gguf.h>
#include <gtest/gtest.h>

#include <limits>

#include "model/model.h"
#include "model/refusal.h"
#include "model/tiny_family.h"
#include "model/tiny_llama.h"
#include "tandem/error.h"

namespace tandem {
namespace {

using testing::family_shapes;
using testing::FamilyEdits;
using testing::FamilyShape;
using testing::TemporaryFolder;

class HostileFamily : public ::testing::TestWithParam<std::pair<std::string, FamilyShape>> {
 protected:
  /// One narrow layer, so that many files cost little.
  std::string load(const FamilyEdits& edits) {
    FamilyShape shape = GetParam().second;
    shape.n_layers = 1;
    shape.n_embd = 32;
    shape.n_ff = 32;
    shape.n_heads = 2;
    shape.n_kv_heads = 1;
    shape.head_dim = 16;
    shape.n_rope_dims = 16;
    testing::write_tiny_family(path_, shape, edits);
    return testing::refusal_of(path_, [&] { Model::load(path_); });
  }

  std::vector<std::string> tensors() {
    std::vector<std::string> names;
    EXPECT_EQ(load({.tensor = [&](std::string& name, int&, int&) { names.push_back(name); }}), "no error");
    return names;
  }

  std::string key(const char* name) const { return GetParam().second.architecture + "." + name; }

  TemporaryFolder folder_;
  std::string path_ = folder_.file("hostile.gguf");
};

TEST_P(HostileFamily, EachTensorMustBeThere) {
  for (const std::string& missing : tensors()) {
    const bool is_optional = missing == "output.weight" || missing.starts_with("rope_f");
    const std::string error = load({.tensor = [&](std::string& name, int&, int&) {
      if (name == missing) name.clear();
    }});
    EXPECT_EQ(error == "no error", is_optional) << missing << ": " << error;
    if (!is_optional) {
      EXPECT_NE(error.find("'" + missing + "' is missing"), std::string::npos) << error;
    }
  }
}

TEST_P(HostileFamily, EachShapeIsChecked) {
  for (const std::string& wrong : tensors()) {
    for (const bool is_input : {true, false}) {
      const std::string error = load({.tensor = [&](std::string& name, int& n_in, int& n_out) {
        if (name == wrong) (is_input ? n_in : n_out) += 32;
      }});
      // Fewer or more rows of embeddings than tokens, too.
      EXPECT_NE(error.find("'" + wrong + "': expected"), std::string::npos) << wrong << ": " << error;
    }
  }
}

TEST_P(HostileFamily, ATensorWithoutAPlaceIsRefused) {
  for (const char* surplus : {"blk.0.attn_output.bias", "blk.0.ffn_up.bias", "output.bias",
                              "blk.0.ffn_gate_inp.weight", "blk.1.attn_norm.weight", "dense_2.weight"}) {
    const std::string error = load({.tensor = [&](std::string& name, int&, int&) {
      if (name == "output_norm.weight") name = surplus;
    }});
    EXPECT_NE(error, "no error") << surplus;
  }
}

TEST_P(HostileFamily, AbsurdNumbersAreRefused) {
  struct BadCount {
    const char* key;
    std::uint32_t value;
  };
  for (const BadCount& bad : {BadCount{"block_count", 0},
                              {"block_count", 2},
                              {"block_count", 4000000000U},
                              {"embedding_length", 0},
                              {"embedding_length", 31},
                              {"feed_forward_length", 0},
                              {"feed_forward_length", 4000000000U},
                              {"attention.head_count", 0},
                              {"attention.head_count", 3},
                              {"attention.head_count", 1000000},
                              {"attention.head_count_kv", 0},
                              {"attention.head_count_kv", 3},
                              {"attention.key_length", 0},
                              {"attention.key_length", 8},
                              {"attention.key_length", 1U << 30},
                              {"attention.value_length", 8},
                              {"attention.key_length_swa", 8},
                              {"rope.dimension_count", 0},
                              {"rope.dimension_count", 15},
                              {"rope.dimension_count", 64},
                              {"rope.dimension_count_swa", 8},
                              {"context_length", 0},
                              {"vocab_size", 3},
                              {"expert_count", 8},
                              {"expert_used_count", 2}}) {
    const std::string error = load(
        {.metadata = [&](gguf_context* file) { gguf_set_val_u32(file, key(bad.key).c_str(), bad.value); }});
    EXPECT_NE(error, "no error") << key(bad.key) << " = " << bad.value;
  }
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (const char* name :
       {"rope.freq_base", "attention.layer_norm_rms_epsilon", "rope.scaling.attn_factor"}) {
    for (const float value : {0.0F, -1.0F, kNan, kInfinity}) {
      const std::string error =
          load({.metadata = [&](gguf_context* file) { gguf_set_val_f32(file, key(name).c_str(), value); }});
      EXPECT_NE(error.find("key '" + key(name) + "': expected"), std::string::npos)
          << name << " = " << value << ": " << error;
    }
  }
}

TEST_P(HostileFamily, StepsThatNoGraphHasAreRefused) {
  const auto refuses = [&](const char* name, const std::function<void(gguf_context*, const char*)>& set) {
    const std::string full = key(name);
    const std::string error = load({.metadata = [&](gguf_context* file) { set(file, full.c_str()); }});
    EXPECT_NE(error.find("key '" + full + "'"), std::string::npos) << name << ": " << error;
  };
  for (const char* kind : {"yarn", "su", ""}) {
    refuses("rope.scaling.type",
            [&](gguf_context* file, const char* full) { gguf_set_val_str(file, full, kind); });
  }
  for (const char* name : {"attention.clamp_kqv", "attention.max_alibi_bias", "logit_scale", "residual_scale",
                           "embedding_scale", "rope.scaling.alpha", "attention.scale"}) {
    refuses(name, [](gguf_context* file, const char* full) { gguf_set_val_f32(file, full, 2.0F); });
    refuses(name, [](gguf_context* file, const char* full) { gguf_set_val_str(file, full, "two"); });
  }
  refuses("attention.causal",
          [](gguf_context* file, const char* full) { gguf_set_val_bool(file, full, false); });
  refuses("rope.scaling.factor",
          [](gguf_context* file, const char* full) { gguf_set_val_f32(file, full, -4.0F); });
}

TEST_P(HostileFamily, WindowsAreReadOrRefusedNeverIgnored) {
  const std::string& family = GetParam().second.architecture;
  const auto with_window = [&](std::uint32_t window) {
    return load({.metadata = [&](gguf_context* file) {
      gguf_set_val_u32(file, key("attention.sliding_window").c_str(), window);
    }});
  };
  const bool takes_windows = family.starts_with("gemma") || family == "phi3";
  EXPECT_EQ(with_window(64) == "no error", takes_windows);
  if (!family.starts_with("gemma")) return;
  EXPECT_NE(with_window(4000000000U), "no error");
  const auto with_pattern = [&](std::size_t n_layers) {
    const std::vector<std::uint8_t> pattern(n_layers, 1);
    return load({.metadata = [&](gguf_context* file) {
      gguf_set_val_u32(file, key("attention.sliding_window").c_str(), 8);
      gguf_set_arr_data(file, key("attention.sliding_window_pattern").c_str(), GGUF_TYPE_BOOL, pattern.data(),
                        n_layers);
    }});
  };
  EXPECT_EQ(with_pattern(1), "no error");
  EXPECT_NE(with_pattern(0), "no error");
  EXPECT_NE(with_pattern(2), "no error");
}

INSTANTIATE_TEST_SUITE_P(Families, HostileFamily, ::testing::ValuesIn(family_shapes()),
                         [](const auto& test) { return test.param.first; });

TEST(HostileFamilies, LongRopeWithoutItsFactorsIsNotGuessed) {
  const TemporaryFolder folder;
  const std::string path = folder.file("phi3.gguf");
  const auto load = [&](bool has_factors) {
    const FamilyEdits edits{
        .metadata = [](gguf_context* file) { gguf_set_val_str(file, "phi3.rope.scaling.type", "longrope"); }};
    testing::write_tiny_family(path, {.architecture = "phi3", .rope_factors = has_factors}, edits);
    Model::load(path);
  };
  EXPECT_NO_THROW(load(true));
  try {
    load(false);
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.what(), path +
                                ": key 'phi3.rope.scaling.type': expected tensor 'rope_factors_short.weight' "
                                "beside 'longrope', got none");
  }
}

TEST(HostileFamilies, AnUnknownOneIsToldWhichThereAre) {
  const TemporaryFolder folder;
  const std::string path = folder.file("other.gguf");
  testing::write_tiny_family(path, {.architecture = "llama"}, {.metadata = [](gguf_context* file) {
                               gguf_set_val_str(file, "general.architecture", "mamba");
                             }});
  try {
    Model::load(path);
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()), path +
                                             ": key 'general.architecture': expected one of gemma2, "
                                             "gemma3, llama, phi3, qwen2, qwen3, got 'mamba'");
  }
}

}  // namespace
}  // namespace tandem
