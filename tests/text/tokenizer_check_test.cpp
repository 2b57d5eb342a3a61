#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tandem/error.h"
#include "text/vocab_files.h"

namespace tandem {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

TokenizerTables good_tables() {
  return testing::read_tables(testing::fixture_path());
}

TokenizerTables bpe_tables() {
  TokenizerTables tables;
  tables.model = "gpt2";
  tables.pre = "gpt-2";
  tables.pieces = {"a", "b", "ab", "<|endoftext|>"};
  tables.types = {1, 1, 1, 3};
  tables.merges = {"a b"};
  tables.special_ids = {{"tokenizer.ggml.eos_token_id", 3}};
  return tables;
}

/// The message of the error that the tables give; empty if they pass.
std::string complaint(const TokenizerTables& tables) {
  try {
    check_tokenizer_tables(tables, "model.gguf");
  } catch (const Error& e) {
    EXPECT_EQ(std::string(e.what()).find('\n'), std::string::npos);
    return e.what();
  }
  return "";
}

TEST(TokenizerCheck, AcceptsGoodTables) {
  EXPECT_EQ(complaint(good_tables()), "");
  EXPECT_EQ(complaint(bpe_tables()), "");
}

struct Damage {
  const char* name;
  void (*apply)(TokenizerTables&);
  const char* key;
  const char* got;
};

const std::vector<Damage> kDamages = {
    {"NoModel", [](TokenizerTables& t) { t.model.clear(); }, "model", "got \"\""},
    {"OtherModel", [](TokenizerTables& t) { t.model = "bert"; }, "model", "bert"},
    {"ModelOfControlBytes", [](TokenizerTables& t) { t.model = "x\ny"; }, "model", "x?y"},
    {"NoPieces", [](TokenizerTables& t) { t.pieces.clear(); }, "tokens", "got 0"},
    {"FewScores", [](TokenizerTables& t) { t.scores.pop_back(); }, "scores", "got"},
    {"ManyTypes", [](TokenizerTables& t) { t.types.push_back(1); }, "token_type", "got"},
    {"DuplicatePiece", [](TokenizerTables& t) { t.pieces[300] = t.pieces[299]; }, "tokens[300]",
     "tokens[299]"},
    {"EmptyPiece", [](TokenizerTables& t) { t.pieces[300].clear(); }, "tokens[300]", "empty"},
    {"BrokenPiece", [](TokenizerTables& t) { t.pieces[300] = "a\xE4"; }, "tokens[300]", "offset 1"},
    {"LongPiece", [](TokenizerTables& t) { t.pieces[300].assign(1 << 20, 'x'); }, "tokens[300]", "1048576"},
    {"NegativeType", [](TokenizerTables& t) { t.types[7] = -1; }, "token_type[7]", "-1"},
    {"UnknownType", [](TokenizerTables& t) { t.types[7] = 7; }, "token_type[7]", "got 7"},
    {"ByteTypeOnAWord", [](TokenizerTables& t) { t.types[300] = 6; }, "token_type[300]", "got"},
    {"NanScore", [](TokenizerTables& t) { t.scores[5] = NAN; }, "scores[5]", "NaN"},
    {"SpecialIdBeyond", [](TokenizerTables& t) { t.special_ids[0].second = 1 << 20; }, "token_id", "1048576"},
    {"SpecialIdNegative", [](TokenizerTables& t) { t.special_ids[0].second = -1; }, "token_id", "-1"},
    {"MissingByte",
     [](TokenizerTables& t) {
       t.pieces[6 + 0xFF] = "no byte";
       t.types[6 + 0xFF] = 1;
     },
     "tokens", "<0xFF>"},
    {"BpeNoMerges", [](TokenizerTables& t) { t.merges.clear(); }, "merges", "none"},
    {"BpeMergeWithoutSpace", [](TokenizerTables& t) { t.merges[0] = "ab"; }, "merges[0]", "ab"},
    {"BpeMergeOfOne", [](TokenizerTables& t) { t.merges[0] = "a "; }, "merges[0]", "a "},
    {"BpeEmptyMerge", [](TokenizerTables& t) { t.merges[0].clear(); }, "merges[0]", "\"\""},
    {"BpeBrokenMerge", [](TokenizerTables& t) { t.merges[0] = "\xFF b"; }, "merges[0]", "? b"}};

TEST(TokenizerCheck, ATypeThatIsNotSupportedSaysWhichAre) {
  for (const char* model : {"bert", "t5", "rwkv", "plamo2", "no-vocab", "Llama"}) {
    TokenizerTables tables = good_tables();
    tables.model = model;
    try {
      check_tokenizer_tables(tables, "model.gguf");
      ADD_FAILURE() << model;
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::kUnsupported) << model;
      EXPECT_THAT(e.what(),
                  AllOf(HasSubstr("tokenizer.ggml.model: expected \"llama\", \"gpt2\" or \"gemma4\""),
                        HasSubstr(model)));
    }
  }
}

class DamagedTables : public ::testing::TestWithParam<Damage> {};

TEST_P(DamagedTables, AreRefusedByKey) {
  const Damage& damage = GetParam();
  TokenizerTables tables = std::string_view(damage.name).starts_with("Bpe") ? bpe_tables() : good_tables();
  damage.apply(tables);
  EXPECT_THAT(complaint(tables), AllOf(HasSubstr("model.gguf: tokenizer.ggml."), HasSubstr(damage.key),
                                       HasSubstr("expected"), HasSubstr(damage.got)));
}

std::string damage_name(const ::testing::TestParamInfo<Damage>& info) {
  return info.param.name;
}

INSTANTIATE_TEST_SUITE_P(TokenizerCheck, DamagedTables, ::testing::ValuesIn(kDamages), damage_name);

}  // namespace
}  // namespace tandem
