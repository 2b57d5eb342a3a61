// Sessions with adapters, through the public API on small random models: each session writes what its adapter
// says, whoever else is there; a head of kept ids writes what the whole head writes with the others masked.
#include "model/adapter.h"

#include <gguf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "engine/session_core.h"
#include "model/gguf_writer.h"
#include "model/head.h"
#include "model/model.h"
#include "model/quantize.h"
#include "model/tiny_adapter.h"
#include "model/tiny_llama.h"
#include "numeric/block_products.h"

namespace tandem {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::TemporaryFolder;

constexpr const char* kWords[] = {"A", "man", "sees", "two", "dogs", "in", "the", "old", "town"};

EngineOptions exact(int n_sessions) {
  return {
      .n_threads = 1, .session_slots = 256, .max_sessions = n_sessions, .cache = CachePrecision::kFloat32};
}

/// What a session committed, its events one by one.
template <typename Session>
std::string written(Session& session) {
  std::string text;
  for (const Event& event : session.poll()) {
    EXPECT_NE(event.kind, EventKind::kFailed) << event.text;
    if (event.kind == EventKind::kCommit) text += event.text + "|";
  }
  return text;
}

template <typename Session>
std::string translate(Session& session) {
  for (const char* word : kWords) EXPECT_EQ(session.push_word(word), Push::kAccepted);
  session.finish();
  while (session.step() == Progress::kMore) {
  }
  return written(session);
}

std::vector<int> kept_ids(int n_vocab) {
  std::vector<int> ids;
  for (int id = 2; id < n_vocab; ++id) {
    if (id % 3 != 0) ids.push_back(id);
  }
  return ids;
}

/// Calls the last two pieces by the names of ChatML's.
void name_chatml_tokens(gguf_context* file) {
  const auto pieces_at = gguf_find_key(file, "tokenizer.ggml.tokens");
  const std::size_t n = gguf_get_arr_n(file, pieces_at);
  std::vector<std::string> pieces;
  for (std::size_t i = 0; i < n; ++i) pieces.emplace_back(gguf_get_arr_str(file, pieces_at, i));
  const auto* stored = static_cast<const std::int32_t*>(
      gguf_get_arr_data(file, gguf_find_key(file, "tokenizer.ggml.token_type")));
  std::vector<std::int32_t> types(stored, stored + n);
  pieces[n - 2] = "<|im_start|>";
  pieces[n - 1] = "<|im_end|>";
  constexpr std::int32_t kControl = 3;
  types[n - 2] = types[n - 1] = kControl;
  testing::set_texts(file, "tokenizer.ggml.tokens", pieces);
  gguf_set_arr_data(file, "tokenizer.ggml.token_type", GGUF_TYPE_INT32, types.data(), n);
}

class Adapters : public ::testing::Test {
 protected:
  Adapters() {
    testing::write_tiny_llama(base_, {}, testing::add_stream_metadata);
    n_vocab_ = Model::load(base_)->config().n_vocab;
  }
  std::string adapter(const std::string& name, const testing::AdapterShape& shape,
                      const testing::AdapterEdits& edits = {}) {
    testing::write_tiny_adapter(folder_.file(name), base_, shape, edits);
    return folder_.file(name);
  }
  std::string error_of(Engine& engine, const SessionOptions& options) {
    try {
      engine.open(options);
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  }

  TemporaryFolder folder_;
  std::string base_ = folder_.file("base.gguf");
  int n_vocab_ = 0;
};

TEST_F(Adapters, EachSessionWritesWhatItsAdapterSays) {
  const std::string a = adapter("a.gguf", {});
  const std::string b = adapter("b.gguf", {.rank = 4, .seed = 6, .kept = kept_ids(n_vocab_)});
  Engine engine = Engine::load(base_, exact(3));
  engine.load_adapter(a);
  engine.load_adapter(b);
  std::vector<std::string> alone;
  for (const std::string& path : {std::string(), a, b}) {
    Engine one = Engine::load(base_, exact(1));
    if (!path.empty()) one.load_adapter(path);
    Session session = one.open({.target_languages = {"de"}, .adapter = path});
    alone.push_back(translate(session));
    EXPECT_FALSE(alone.back().empty());
  }
  EXPECT_NE(alone[0], alone[1]);
  EXPECT_NE(alone[1], alone[2]);

  std::vector<Session> sessions;
  for (const std::string& path : {std::string(), a, b})
    sessions.push_back(engine.open({.target_languages = {"de"}, .adapter = path}));
  for (Session& session : sessions) {
    for (const char* word : kWords) ASSERT_EQ(session.push_word(word), Push::kAccepted);
    session.finish();
  }
  for (bool has_more = true; has_more;) {
    has_more = false;
    for (Session& session : sessions) has_more |= session.step() == Progress::kMore;
  }
  for (std::size_t i = 0; i < sessions.size(); ++i) EXPECT_EQ(written(sessions[i]), alone[i]) << i;
}

TEST_F(Adapters, ASmallHeadWritesWhatTheWholeOneWritesMasked) {
  const std::vector<int> kept = kept_ids(n_vocab_);
  const std::string path = adapter("kept.gguf", {.kept = kept});
  const std::string whole =
      adapter("whole.gguf", {.kept = kept},
              {.metadata = [](gguf_context* file) { gguf_remove_key(file, "tandem.vocab.kept"); }});
  Engine engine = Engine::load(base_, exact(1));
  engine.load_adapter(path);
  Session small = engine.open({.target_languages = {"de"}, .adapter = path, .k = 2});
  const std::string expected = translate(small);

  const auto model = Model::load(base_);
  const auto network = model->make_network({.n_slots = 256});
  const Vocabulary& vocabulary = *model->vocabulary();
  std::vector<PieceInfo> masked(vocabulary.pieces().begin(), vocabulary.pieces().end());
  for (int id = 0; id < n_vocab_; ++id) {
    if (!std::binary_search(kept.begin(), kept.end(), id))
      masked[static_cast<std::size_t>(id)].is_masked = true;
  }
  SessionParts parts;
  parts.network = network.get();
  parts.adapter = model->load_adapter(whole);
  ASSERT_TRUE(parts.adapter->head()->ids.empty());
  parts.span = network->reserve(256);
  parts.tokenize_word = [&](std::string_view word, bool is_first) {
    return vocabulary.tokenize_word(word, is_first);
  };
  TargetParts& target = parts.targets.emplace_back();
  target.prompt = tokenize_prompt(model->metadata()->prompt, "de", vocabulary);
  target.policy = std::make_unique<WaitKPolicy>(WaitK(2));
  target.sampler = std::make_unique<Sampler>(masked, target.prompt.end);
  parts.setup.pieces = vocabulary.pieces();
  parts.setup.bytes = vocabulary.byte_table();
  SessionCore session(std::move(parts));
  EXPECT_EQ(translate(session), expected);
  EXPECT_GT(std::count(expected.begin(), expected.end(), '|'), 5) << "a text that says something";
}

TEST_F(Adapters, KeysOfAnAdapterTakeThePlaceOfTheModels) {
  const std::string italian =
      adapter("it.gguf", {.kept = kept_ids(n_vocab_)}, {.metadata = [](gguf_context* file) {
                testing::set_texts(file, "tandem.languages.target", {"it"});
                testing::set_texts(file, "tandem.template.target_prefix", {"<s>it"});
              }});
  const std::string silent = adapter("silent.gguf", {});
  Engine engine = Engine::load(base_, exact(1));
  engine.load_adapter(italian);
  engine.load_adapter(silent);
  EXPECT_THAT(engine.target_languages(), ElementsAre("de", "fr"));
  EXPECT_THAT(engine.target_languages(italian), ElementsAre("it"));
  EXPECT_THAT(engine.target_languages(silent), ElementsAre("de", "fr"));
  EXPECT_THAT(error_of(engine, {.target_languages = {"de"}, .adapter = italian}), HasSubstr("[it]"));
  EXPECT_EQ(error_of(engine, {.target_languages = {"it"}, .adapter = italian}), "no error");
}

TEST_F(Adapters, AnAdapterMakesAStockModelStream) {
  testing::write_tiny_llama(base_);
  const std::string path = adapter("a.gguf", {.kept = kept_ids(n_vocab_)});
  Engine engine = Engine::load(base_, exact(1));
  engine.load_adapter(path);
  EXPECT_TRUE(engine.target_languages().empty());
  EXPECT_THAT(error_of(engine, {.target_languages = {"de"}}), HasSubstr("got a stock model"));
  Session session = engine.open({.target_languages = {"de"}, .adapter = path});
  EXPECT_FALSE(translate(session).empty());
}

TEST_F(Adapters, AStockModelWithAChatFormatIsSpokenToInIt) {
  testing::write_tiny_llama(base_, {.n_vocab = n_vocab_ + 2}, name_chatml_tokens);
  Engine engine = Engine::load(base_, exact(1));
  EXPECT_THAT(error_of(engine, {.target_languages = {"xx"}}), HasSubstr("got \"xx\""));
  const auto text_with = [&](std::optional<PromptText> prompt) {
    Session session = engine.open({.target_languages = {"de"},
                                   .prompt = std::move(prompt),
                                   .target_rows_base = 20,
                                   .target_rows_per_source_row = 1});
    return translate(session);
  };
  const std::string in_its_format = text_with(std::nullopt);
  const PromptText same{
      .source_prefix = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n",
      .target_prefix = "\n\nTranslate the text above into German.<|im_end|>\n<|im_start|>assistant\n",
      .end = "<|im_end|>"};
  EXPECT_EQ(in_its_format, text_with(same));
  PromptText other = same;
  other.target_prefix = "<|im_start|>";
  EXPECT_NE(in_its_format, text_with(other));
}

TEST_F(Adapters, WideCopiesAreThereBeforeTheFirstSession) {
  if (!has_block_products()) GTEST_SKIP() << "this CPU has no products in blocks";
  // Wide enough for copies to be faster beyond doubt.
  const testing::TinyShape shape{.n_layers = 4, .n_embd = 512, .n_ff = 2048};
  testing::write_tiny_llama(base_, shape, testing::add_stream_metadata);
  const std::string q8 = folder_.file("q8.gguf");
  quantize_file(base_, q8, "q8_0");
  Engine engine = Engine::load(q8, {.n_threads = 1, .session_slots = 256, .max_sessions = 1});
  EXPECT_EQ(engine.wide_rows(), 0);
  const std::string path = adapter("a.gguf", {});
  engine.load_adapter(path);
  const int measured = engine.wide_rows();
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // which slow down our part alone
  EXPECT_GT(measured, 0);
#endif
  Session session = engine.open({.target_languages = {"de"}, .adapter = path});
  EXPECT_EQ(engine.wide_rows(), measured);
  EXPECT_FALSE(translate(session).empty());
}

TEST_F(Adapters, WideCopiesAreUsedAsOneChooses) {
  if (!has_block_products()) GTEST_SKIP() << "this CPU has no products in blocks";
  testing::write_tiny_llama(base_, {}, testing::add_stream_metadata);
  const std::string q8 = folder_.file("q8.gguf");
  quantize_file(base_, q8, "q8_0");
  for (const auto& [wide, expected] : {std::pair(Wide::kAlways, 1), std::pair(Wide::kNever, 0)}) {
    Engine engine = Engine::load(q8, {.n_threads = 1, .session_slots = 256, .wide = wide});
    Session session = engine.open({.target_languages = {"de"}});
    EXPECT_EQ(engine.wide_rows(), expected);
    EXPECT_FALSE(translate(session).empty());
  }
}

TEST_F(Adapters, WhatIsNotLoadedOrCannotEndIsRefused) {
  Engine engine = Engine::load(base_, exact(1));
  EXPECT_THAT(error_of(engine, {.target_languages = {"de"}, .adapter = "nowhere.gguf"}),
              HasSubstr("there is none"));
  const std::string path = adapter("a.gguf", {.kept = {2, 4, 5}});
  engine.load_adapter(path);
  EXPECT_THAT(error_of(engine, {.target_languages = {"de"}, .adapter = "nowhere.gguf"}),
              HasSubstr("'" + path + "'"));
  EXPECT_THROW(engine.target_languages("nowhere.gguf"), Error);
  EXPECT_THROW(engine.load_adapter(base_), Error);
  const PromptText prompt{.target_prefix = "<s>", .end = "<s>"};
  EXPECT_THAT(error_of(engine, {.target_languages = {"de"}, .adapter = path, .prompt = prompt}),
              HasSubstr("expected one of the 3 ids that the model keeps"));
}

}  // namespace
}  // namespace tandem
