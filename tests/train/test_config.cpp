// A training configuration either says what will be trained, or is refused with file, line and key.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tandem/error.h"
#include "train/toml_section.h"
#include "train/train_config.h"
#include "train/train_support.h"

namespace tandem {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::string_view kGood = R"([data]
target_languages = ["de", "fr"]
train = [{ tsv = "text/train.tsv" }, { source = "/x/a.en", target = "../a.de", language = "de", set = "mine" }]
set_weights = { mine = 2 }
max_rows = 100
[prompt]
source_prefix = "<s>"
target_prefix = { de = "<de>", fr = "<fr>" }
end = "</s>"
[model]
width = 64
n_heads = 4
[streaming]
ks = [1, 3, "inf"]
phi = 0.5
boundary = "both"
[optimiser]
matmul = "f32"
rows_per_batch = 500
[output]
model_path = "model.gguf"
checkpoint_dir = "/tmp/checkpoints"
)";

/// kGood with one piece of it replaced.
std::string changed(std::string_view from, std::string_view to) {
  std::string text(kGood);
  const std::size_t place = text.find(from);
  if (place == std::string::npos) throw std::logic_error("no such text in the good configuration");
  return text.replace(place, from.size(), to);
}

std::string error_of(const std::string& text) {
  const testing::TemporaryFolder folder;
  const std::string path = folder.write("run.toml", text);
  try {
    read_train_config(path);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    EXPECT_THAT(error.what(), HasSubstr(path + ":"));
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
    return error.what();
  }
  return "no error";
}

TEST(TrainConfig, ReadsEveryKindOfValue) {
  const testing::TemporaryFolder folder;
  const TrainConfig config = read_train_config(folder.write("run.toml", kGood));
  EXPECT_THAT(config.target_languages, ElementsAre("de", "fr"));
  ASSERT_EQ(config.train.size(), 2U);
  EXPECT_EQ(config.train[0].tsv, folder.file("text/train.tsv"));
  EXPECT_EQ(config.train[1].source, "/x/a.en");
  EXPECT_EQ(config.train[1].target, (folder.path().parent_path() / "a.de").string());
  EXPECT_EQ(config.train[1].set, "mine");
  EXPECT_THAT(config.set_weights, ElementsAre(std::pair<std::string, double>("mine", 2.0)));
  EXPECT_THAT(config.ks, ElementsAre(WaitK(1), WaitK(3), WaitK::unlimited()));
  EXPECT_THAT(config.k_weights, ElementsAre(1.0, 1.0, 1.0));
  EXPECT_EQ(config.boundary, BoundaryRows::kBoth);
  EXPECT_EQ(config.matmul, MatmulType::kFloat32);
  EXPECT_EQ(config.phi, 0.5);
  EXPECT_EQ(config.n_kv_heads, 4);  // as many as n_heads unless said otherwise
  EXPECT_EQ(config.prompt.source_suffix, "");
  EXPECT_EQ(config.model_path, folder.file("model.gguf"));
  EXPECT_EQ(config.checkpoint_dir, "/tmp/checkpoints");
}

TEST(TrainConfig, ABaseBringsItsOwnShapeAndVocabulary) {
  const testing::TemporaryFolder folder;
  const std::string text = changed("[model]\nwidth = 64\nn_heads = 4",
                                   "[base]\nmodel = \"../base.gguf\"\nkept_pieces = 900\n[lora]\nrank = 8\n"
                                   "targets = [\"attn_q\"]");
  const TrainConfig config = read_train_config(folder.write("run.toml", text));
  ASSERT_TRUE(config.base && config.lora);
  EXPECT_EQ(config.base->model, (folder.path().parent_path() / "base.gguf").string());
  EXPECT_EQ(config.base->start_adapter, "");
  EXPECT_EQ(config.base->kept_pieces, 900);
  EXPECT_EQ(config.lora->rank, 8);
  EXPECT_EQ(config.lora->alpha, 8.0);  // as strong as it is wide, unless said otherwise
  EXPECT_THAT(config.lora->targets, ElementsAre("attn_q"));
}

TEST(TrainConfig, ProductsAreWhatTheCpuIsFastestAtUnlessSaid) {
  const testing::TemporaryFolder folder;
  EXPECT_FALSE(is_emulated(fastest_matmul_type()));
  for (const char* matmul : {"matmul = \"auto\"", ""}) {
    const std::string path = folder.write("run.toml", changed("matmul = \"f32\"", matmul));
    EXPECT_EQ(read_train_config(path).matmul, fastest_matmul_type()) << matmul;
  }
  const std::string path = folder.write("run.toml", changed("matmul = \"f32\"", "matmul = \"bf16\""));
  EXPECT_EQ(read_train_config(path).matmul, MatmulType::kBfloat16);
}

TEST(TrainConfig, UnknownKeyNamesLineAndNearestKey) {
  const std::string error = error_of(changed("width = 64", "widht = 64"));
  EXPECT_THAT(error,
              HasSubstr("run.toml:11: [model] widht: unknown key; the nearest known one is \"width\""));
  EXPECT_THAT(error_of(changed("[streaming]", "[steaming]")),
              HasSubstr("run.toml:13: steaming: unknown section; the nearest known one is \"streaming\""));
  EXPECT_THAT(error_of(changed("language = \"de\", set", "language = \"de\", sett")),
              HasSubstr("run.toml:3: [data.train] sett: unknown key; the nearest known one is \"set\""));
}

struct Refused {
  const char* from;
  const char* to;
  const char* message;
};

class TrainConfigRefuses : public ::testing::TestWithParam<Refused> {};

TEST_P(TrainConfigRefuses, WithLineKeyAndReason) {
  EXPECT_THAT(error_of(changed(GetParam().from, GetParam().to)), HasSubstr(GetParam().message));
}

const Refused kRefused[] = {
    {"[model]\nwidth = 64\nn_heads = 4", "[base]\nkept_pieces = 5", "[base] model: expected the GGUF file"},
    {"[model]", "[base]\nmodel = \"b.gguf\"\n[model]", ": model: expected no such section beside [base]"},
    {"[model]\nwidth = 64\nn_heads = 4", "[lora]\nrank = 4", ": lora: expected a section [base]"},
    {"[model]\nwidth = 64\nn_heads = 4", "[base]\nmodel = \"b\"\n[lora]\nrank = 0",
     "[lora] rank: expected an integer from 1 to 4096, got integer 0"},
    {"[model]\nwidth = 64\nn_heads = 4", "[base]\nmodel = \"b\"\n[lora]\ntargets = [\"a\", \"a\"]",
     "[lora] targets: \"a\" stands there twice"},
    {"[model]\nwidth = 64\nn_heads = 4", "[base]\nmodel = \"b\"\ntrains = \"norms\"",
     "[base] trains: expected"},
    {"[model]\nwidth = 64\nn_heads = 4", "[base]\nmodel = \"b\"\ntrains = \"matrices\"\n[lora]\nrank = 4",
     "[base] trains: expected no such key beside [lora]"},
    {"matmul = \"f32\"", "matmul = \"f16\"", "[optimiser] matmul: expected"},
    {"[model]\nwidth = 64\nn_heads = 4", "[base]\nmodel = \"b\"\nstart_adapter = \"a\"",
     "[base] start_adapter: expected a section [lora]"},
    {"[model]\nwidth = 64\nn_heads = 4", "[base]\nmodel = \"b\"\nrecompute_activations = 1",
     "[base] recompute_activations: expected true or false, got integer 1"},
    {"width = 64", "width = \"64\"",
     ":11: [model] width: expected an integer from 2 to 65536, got string \"64\""},
    {"width = 64", "width = 64.5", "got floating-point 64.5"},
    {"width = 64", "width = 66", ":11: [model] width: 66 is not a multiple of n_heads = 4"},
    {"width = 64", "width = 12", "width / n_heads = 3 is odd"},
    {"n_heads = 4", "n_heads = 4\nn_kv_heads = 3",
     ":13: [model] n_kv_heads: n_heads = 4 is not a multiple of 3"},
    {"phi = 0.5", "phi = 0.25", "expected a whole or half number, got 0.25"},
    {"phi = 0.5", "phi = nan", "expected a number from 0 to"},
    {"n_heads = 4", "n_heads = 4\ncontext_length = 99", "99 is less than [data] max_rows = 100"},
    {"ks = [1, 3, \"inf\"]", "ks = []", ":14: [streaming] ks: expected an array"},
    {"ks = [1, 3, \"inf\"]", "ks = [0]", "expected an integer from 1 to 10000 or \"inf\", got integer 0"},
    {"ks = [1, 3, \"inf\"]", "ks = [\"Inf\"]", "got string \"Inf\""},
    {"ks = [1, 3, \"inf\"]", "ks = [3, 3]", "integer 3 stands there twice"},
    {"boundary = \"both\"", "k_weights = [1, 2]", "expected one number per k, 3 in all, got 2"},
    {"boundary = \"both\"", "k_weights = [0, 0, 0]", "no k can be drawn"},
    {"boundary = \"both\"", "k_weights = [1, -1, 1]", "expected a number not below 0, got integer -1"},
    {"boundary = \"both\"", "no_repeat_ngram = -1", "expected an integer from 0 to 1000, got integer -1"},
    {"boundary = \"both\"", "boundary = \"new\"",
     "expected one of \"draw\", \"both\", \"reference\", got string \"new\""},
    {", fr = \"<fr>\" }", "}", "target language \"fr\" has no prefix"},
    {"fr = \"<fr>\"", "fr = \"\"", "target language \"fr\" has no prefix"},
    {"fr = \"<fr>\"", "fr = \"<fr>\", it = \"<it>\"", "\"it\" is not in target_languages"},
    {"end = \"</s>\"", "", "[prompt] end: expected the token"},
    {"[\"de\", \"fr\"]", "[]", "expected at least one language"},
    {"[\"de\", \"fr\"]", "[\"de\", \"de\"]", "\"de\" stands there twice"},
    {"language = \"de\", set", "language = \"it\", set", "\"it\" is not in target_languages"},
    {"{ tsv = \"text/train.tsv\" }", "{ tsv = \"t\", source = \"s\" }",
     "expected either tsv = FILE, or source"},
    {"{ tsv = \"text/train.tsv\" }", "{ source = \"s\" }", "expected all of source, target and language"},
    {"{ tsv = \"text/train.tsv\" }", "7", ":3: [data] train: expected a table, got integer 7"},
    {"max_rows = 100", "max_rows = 100000", "expected an integer from 2 to 32000"},
    {"rows_per_batch = 500", "rows_per_batch = 99", "the longest example would not fit"},
    {"rows_per_batch = 500", "total_steps = 10\nwarmup_steps = 11", "11 is more than total_steps = 10"},
    {"rows_per_batch = 500", "seed = -1", "[optimiser] seed: expected an integer from 0"},
    {"model_path = \"model.gguf\"", "", "[output] model_path: expected the GGUF file"},
    {"[model]", "[model", ":10: expected TOML"},
};

INSTANTIATE_TEST_SUITE_P(Table, TrainConfigRefuses, ::testing::ValuesIn(kRefused));

TEST(TrainConfig, MissingFileIsNamed) {
  EXPECT_THROW(read_train_config("/nowhere/run.toml"), Error);
}

TEST(TrainConfig, RecipesOfTheTreeAreRead) {
  const std::string recipes = std::string(TANDEM_SOURCE_DIR) + "/recipes/";
  const TrainConfig standard = read_train_config(recipes + "default-en-de-fr.toml");
  EXPECT_EQ(standard.prompt.target_prefix[1].second, "<fr>");
  EXPECT_FALSE(standard.set_weights.empty());
  const TrainConfig brief_default = read_train_config(recipes + "default-brief.toml");
  EXPECT_EQ(brief_default.base->model, standard.model_path) << "the second stage goes on from the first";
  EXPECT_EQ(read_train_config(recipes + "own-data.toml").ks.back(), WaitK::unlimited());
  const TrainConfig adapter = read_train_config(recipes + "own-data-lora.toml");
  EXPECT_TRUE(adapter.base.has_value() && adapter.lora.has_value());
  const TrainConfig gemma = read_train_config(recipes + "gemma-3-270m-en-de-fr.toml");
  const TrainConfig talks = read_train_config(recipes + "gemma-3-270m-talks.toml");
  EXPECT_TRUE(gemma.lora.has_value());
  EXPECT_EQ(talks.base->start_adapter, gemma.model_path) << "the second stage goes on from the first";
  EXPECT_EQ(talks.lora->rank, gemma.lora->rank);
  const TrainConfig brief = read_train_config(recipes + "gemma-3-270m-brief.toml");
  EXPECT_EQ(brief.base->start_adapter, talks.model_path) << "and the last from the second";
  EXPECT_EQ(brief.lora->rank, talks.lora->rank);
}

TEST(EditDistance, CountsInsertionsDeletionsAndSubstitutions) {
  EXPECT_EQ(edit_distance("", "abc"), 3);
  EXPECT_EQ(edit_distance("abc", ""), 3);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3);
  EXPECT_EQ(edit_distance("width", "widht"), 2);
  EXPECT_EQ(nearest_word("lerning_rate", {"epsilon", "learning_rate", "seed"}), "learning_rate");
}

}  // namespace
}  // namespace tandem
