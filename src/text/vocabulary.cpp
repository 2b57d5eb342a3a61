#include "text/vocabulary.h"

#include <fmt/format.h>
#include <llama.h>

#include <array>
#include <limits>

#include "tandem/error.h"
#include "text/llama_log.h"
#include "text/utf8.h"

namespace tandem {
namespace {

struct FreeModel {
  void operator()(llama_model* model) const { llama_model_free(model); }
};
using ModelPtr = std::unique_ptr<llama_model, FreeModel>;

/// libllama's C interface lets C++ exceptions through in places; nobody outside this file shall meet one.
template <typename Call>
auto guarded(std::string_view what, Call&& call) {
  try {
    return call();
  } catch (const Error&) {
    throw;
  } catch (const std::exception& e) {
    throw Error(ErrorCode::kBadFile, fmt::format("vocabulary: {}: libllama says: {}", what, e.what()));
  }
}

std::string bytes_of(const llama_vocab* vocab, llama_token id) {
  std::string bytes(32, '\0');
  const auto write = [&] {
    return llama_token_to_piece(vocab, id, bytes.data(), static_cast<int>(bytes.size()), 0, false);
  };
  int n = write();
  if (n < 0) {
    bytes.resize(static_cast<std::size_t>(-n));
    n = write();
  }
  TANDEM_CHECK(n >= 0);
  bytes.resize(static_cast<std::size_t>(n));
  return bytes;
}

}  // namespace

PieceInfo describe_bytes(std::string_view bytes) {
  PieceInfo info;
  info.begins_word = bytes.starts_with(' ');
  info.only_mark = info.begins_word && bytes.find_first_not_of(' ') == std::string_view::npos;
  const auto is_continuation = [](char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; };
  std::size_t at = 0;
  while (at < bytes.size() && is_continuation(bytes[at])) ++at;
  info.n_joining_bytes = static_cast<int>(at);
  info.is_byte = at > 0;
  while (at < bytes.size()) {
    const Utf8Step step = next_utf8(bytes.substr(at));
    if (step.status == Utf8Status::kWhole) ++info.n_code_points;
    if (step.status != Utf8Status::kWhole) info.is_byte = true;
    if (step.status == Utf8Status::kUnfinished) {
      const auto lead = static_cast<unsigned char>(bytes[at]);
      const int n_whole = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
      info.n_missing_bytes = n_whole - static_cast<int>(step.n_bytes);
    }
    at += step.n_bytes;
  }
  return info;
}

struct Vocabulary::Impl {
  ModelPtr model;
  const llama_vocab* vocab = nullptr;
  bool adds_space_prefix = false;  // libllama puts the mark in front of every text by itself

  std::array<llama_token, 256> byte_pieces = {};  // a plain piece for each byte; -1 where there is none

  std::vector<TokenId> tokenize(std::string_view text, bool with_special) const;
};

std::vector<TokenId> Vocabulary::Impl::tokenize(std::string_view text, bool with_special) const {
  if (text.empty()) return {};
  if (text.size() > static_cast<std::size_t>(std::numeric_limits<int>::max() / 2)) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("tokenize: expected a text of less than 1 GiB, got {} bytes", text.size()));
  }
  std::vector<llama_token> ids(text.size() + 2);
  const auto run = [&] {
    return llama_tokenize(vocab, text.data(), static_cast<int>(text.size()), ids.data(),
                          static_cast<int>(ids.size()), /*add_special=*/false, with_special);
  };
  int n = guarded("tokenize", run);
  if (n < 0) {
    ids.resize(static_cast<std::size_t>(-n));
    n = guarded("tokenize", run);
  }
  TANDEM_CHECK(n >= 0);
  std::vector<TokenId> tokens;
  tokens.reserve(static_cast<std::size_t>(n));
  for (int i = 0; i < n; ++i) tokens.push_back(TokenId{ids[static_cast<std::size_t>(i)]});
  return tokens;
}

/// Some names of special tokens come out of libllama even if none shall be recognised: merging meets them
/// like any other piece, and a vocabulary may call them plain text. They are spelt byte by byte instead,
/// since a text that someone sends must never act as a special token.
std::vector<TokenId> Vocabulary::spell_out_special(const std::vector<TokenId>& tokens) const {
  std::vector<TokenId> plain;
  plain.reserve(tokens.size());
  for (const TokenId token : tokens) {
    if (!piece(token).is_end && !piece(token).is_masked) {
      plain.push_back(token);
      continue;
    }
    for (const char c : name(token)) {
      const llama_token id = impl_->byte_pieces[static_cast<unsigned char>(c)];
      if (id >= 0) plain.push_back(TokenId{id});
    }
  }
  return plain;
}

Vocabulary::Vocabulary(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {
  const int n = llama_vocab_n_tokens(impl_->vocab);
  pieces_.reserve(static_cast<std::size_t>(n));
  bytes_.reserve(static_cast<std::size_t>(n));
  for (llama_token id = 0; id < n; ++id) {
    bytes_.push_back(bytes_of(impl_->vocab, id));
    PieceInfo info = describe_bytes(bytes_.back());
    const int attributes = llama_vocab_get_attr(impl_->vocab, id);
    info.is_byte_name = (attributes & LLAMA_TOKEN_ATTR_BYTE) != 0;
    info.is_end = llama_vocab_is_eog(impl_->vocab, id);
    constexpr int kNeverWritten =
        LLAMA_TOKEN_ATTR_CONTROL | LLAMA_TOKEN_ATTR_UNKNOWN | LLAMA_TOKEN_ATTR_UNUSED;
    // A piece without bytes would be a step that writes nothing: libllama leaves undefined types so.
    info.is_masked = !info.is_end && ((attributes & kNeverWritten) != 0 || bytes_.back().empty());
    pieces_.push_back(info);
  }
  impl_->byte_pieces.fill(-1);
  for (llama_token id = 0; id < n; ++id) {
    const std::string& bytes = bytes_[static_cast<std::size_t>(id)];
    const PieceInfo& info = pieces_[static_cast<std::size_t>(id)];
    if (bytes.size() != 1 || info.is_end || info.is_masked) continue;
    llama_token& known = impl_->byte_pieces[static_cast<unsigned char>(bytes[0])];
    // A character's own piece rather than its byte's: that is how the model met it.
    if (known < 0 || !info.is_byte_name) known = id;
  }
}

Vocabulary::~Vocabulary() = default;

std::shared_ptr<const Vocabulary> Vocabulary::load(const std::string& gguf_path,
                                                   const TokenizerTables& tables) {
  check_tokenizer_tables(tables, gguf_path);
  route_llama_log();
  auto impl = std::make_unique<Impl>();
  llama_model_params params = llama_model_default_params();
  params.vocab_only = true;
  params.n_gpu_layers = 0;
  impl->model.reset(
      guarded(gguf_path, [&] { return llama_model_load_from_file(gguf_path.c_str(), params); }));
  if (impl->model == nullptr) {
    throw Error(ErrorCode::kBadFile,
                fmt::format("{}: libllama cannot load the vocabulary (its log says why)", gguf_path));
  }
  impl->vocab = llama_model_get_vocab(impl->model.get());
  const int n = llama_vocab_n_tokens(impl->vocab);
  if (static_cast<std::size_t>(n) != tables.pieces.size()) {
    throw Error(ErrorCode::kBadFile,
                fmt::format("{}: tokenizer.ggml.tokens: expected {} pieces, libllama read {}", gguf_path,
                            tables.pieces.size(), n));
  }
  impl->adds_space_prefix = tables.model == "llama" && tables.add_space_prefix;
  return guarded(gguf_path,
                 [&] { return std::shared_ptr<const Vocabulary>(new Vocabulary(std::move(impl))); });
}

std::string_view Vocabulary::name(TokenId id) const {
  return llama_vocab_get_text(impl_->vocab, to_int(id));
}

std::optional<TokenId> Vocabulary::find_special(std::string_view wanted) const {
  const std::vector<TokenId> tokens = impl_->tokenize(wanted, true);
  if (tokens.size() != 1 || name(tokens.front()) != wanted) return std::nullopt;
  return tokens.front();
}

std::vector<std::string> Vocabulary::special_names() const {
  constexpr int kSpecial =
      LLAMA_TOKEN_ATTR_CONTROL | LLAMA_TOKEN_ATTR_UNKNOWN | LLAMA_TOKEN_ATTR_USER_DEFINED;
  std::vector<std::string> names;
  for (llama_token id = 0; id < size(); ++id) {
    if ((llama_vocab_get_attr(impl_->vocab, id) & kSpecial) != 0) names.emplace_back(name(TokenId{id}));
  }
  return names;
}

std::vector<TokenId> Vocabulary::tokenize_word(std::string_view word, bool is_first) const {
  std::vector<TokenId> tokens;
  bool opens_text = is_first;
  for (const std::string_view part : cut_word(word)) {
    const bool needs_mark = !opens_text && !impl_->adds_space_prefix;
    const std::vector<TokenId> more = tokenize(needs_mark ? fmt::format(" {}", part) : std::string(part));
    tokens.insert(tokens.end(), more.begin(), more.end());
    opens_text = false;
  }
  return tokens;
}

std::vector<TokenId> Vocabulary::tokenize(std::string_view text) const {
  return spell_out_special(impl_->tokenize(text, false));
}

std::vector<TokenId> Vocabulary::tokenize_template(std::string_view text) const {
  return impl_->tokenize(text, true);
}

}  // namespace tandem
