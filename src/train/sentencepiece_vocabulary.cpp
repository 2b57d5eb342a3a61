#include "train/sentencepiece_vocabulary.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sentencepiece_processor.h>
#include <sentencepiece_trainer.h>

#include <charconv>
#include <optional>
#include <unordered_map>

#include "tandem/error.h"

namespace tandem {
namespace {

// llama.cpp's token types (llama_token_type).
enum TokenType { kNormal = 1, kUnknown = 2, kControl = 3, kUnused = 5, kByte = 6 };

class SpanIterator : public sentencepiece::SentenceIterator {
 public:
  explicit SpanIterator(std::span<const std::string> sentences) : sentences_(sentences) {}
  bool done() const override { return next_ == sentences_.size(); }
  void Next() override { ++next_; }
  const std::string& value() const override { return sentences_[next_]; }
  sentencepiece::util::Status status() const override { return {}; }

 private:
  std::span<const std::string> sentences_;
  std::size_t next_ = 0;
};

TokenType type_of_piece(const sentencepiece::SentencePieceProcessor& model, int id) {
  if (model.IsUnknown(id)) return kUnknown;
  if (model.IsControl(id)) return kControl;
  if (model.IsByte(id)) return kByte;
  return model.IsUnused(id) ? kUnused : kNormal;
}

/// sentencepiece says how many pieces a small text gives at most only in prose: "... a value <= 694."
std::optional<int> most_pieces_named_in(std::string_view message) {
  constexpr std::string_view kMark = "value <= ";
  const auto at = message.find(kMark);
  if (at == std::string_view::npos) return std::nullopt;
  int most = 0;
  const auto digits = message.substr(at + kMark.size());
  const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), most);
  return result.ec == std::errc() ? std::optional(most) : std::nullopt;
}

}  // namespace

std::string train_sentencepiece(std::span<const std::string> sentences, const VocabularyOptions& options) {
  const std::unordered_map<std::string, std::string> arguments = {
      {"model_type", "bpe"},
      {"vocab_size", std::to_string(options.size)},
      {"character_coverage", fmt::format("{}", options.character_coverage)},
      {"byte_fallback", "true"},
      {"normalization_rule_name", "identity"},
      {"remove_extra_whitespaces", "false"},
      {"add_dummy_prefix", "true"},
      {"control_symbols", fmt::format("{}", fmt::join(options.control_tokens, ","))},
      {"unk_id", "0"},
      {"bos_id", "1"},
      {"eos_id", "2"},
      {"pad_id", "-1"},
      {"num_threads", "1"},  // the order of equal merges must not depend on threads
      {"minloglevel", "3"},  // a library does not print; what fails comes back as a status
  };
  SpanIterator iterator(sentences);
  std::string model;
  const auto status = sentencepiece::SentencePieceTrainer::Train(arguments, &iterator, &model);
  if (!status.ok()) {
    if (const auto most = most_pieces_named_in(status.message())) {
      throw Error(
          ErrorCode::kInvalidArgument,
          fmt::format("vocabulary size: expected at most {} pieces for this text ({} sentences), got {}",
                      *most, sentences.size(), options.size));
    }
    throw Error(ErrorCode::kInvalidArgument, fmt::format("vocabulary of {} pieces from {} sentences: {}",
                                                         options.size, sentences.size(), status.message()));
  }
  return model;
}

TokenizerTables tables_of_sentencepiece(const std::string& serialised_model) {
  sentencepiece::SentencePieceProcessor model;
  const auto status = model.LoadFromSerializedProto(serialised_model);
  if (!status.ok())
    throw Error(ErrorCode::kBadFile, fmt::format("sentencepiece model: {}", status.message()));
  TokenizerTables tables;
  tables.model = "llama";
  tables.pre = "default";
  for (int id = 0; id < model.GetPieceSize(); ++id) {
    tables.pieces.push_back(model.IdToPiece(id));
    tables.scores.push_back(model.GetScore(id));
    tables.types.push_back(type_of_piece(model, id));
  }
  tables.special_ids = {{"tokenizer.ggml.unknown_token_id", model.unk_id()},
                        {"tokenizer.ggml.bos_token_id", model.bos_id()},
                        {"tokenizer.ggml.eos_token_id", model.eos_id()}};
  tables.add_space_prefix = true;
  return tables;
}

}  // namespace tandem
