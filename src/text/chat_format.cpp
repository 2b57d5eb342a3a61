#include "text/chat_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <initializer_list>
#include <utility>

#include "tandem/error.h"

namespace tandem {
namespace {

/// A format and the tokens that only it has.
struct KnownFormat {
  ChatFormat format;
  std::array<std::string_view, 2> tokens;
};

constexpr std::array kFormats = {
    KnownFormat{{.name = "gemma",
                 .begin = "<bos>",
                 .user = "<start_of_turn>user\n",
                 .assistant = "<end_of_turn>\n<start_of_turn>model\n",
                 .end = "<end_of_turn>"},
                {"<start_of_turn>", "<end_of_turn>"}},
    // Qwen's and SmolLM2's templates put a system turn in front where the user gives none.
    KnownFormat{{.name = "chatml",
                 .begin = "",
                 .user = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n",
                 .assistant = "<|im_end|>\n<|im_start|>assistant\n",
                 .end = "<|im_end|>"},
                {"<|im_start|>", "<|im_end|>"}},
    KnownFormat{{.name = "llama3",
                 .begin = "<|begin_of_text|>",
                 .user = "<|start_header_id|>user<|end_header_id|>\n\n",
                 .assistant = "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
                 .end = "<|eot_id|>"},
                {"<|start_header_id|>", "<|eot_id|>"}},
    KnownFormat{{.name = "phi3",
                 .begin = "<s>",
                 .user = "<|user|>\n",
                 .assistant = "<|end|>\n<|assistant|>\n",
                 .end = "<|end|>"},
                {"<|assistant|>", "<|end|>"}},
};

// ISO 639-1 codes of languages that the families' models were trained with, in order of the codes.
using Language = std::pair<std::string_view, std::string_view>;
constexpr std::array kLanguages = {
    Language{"ar", "Arabic"},    Language{"bg", "Bulgarian"},  Language{"cs", "Czech"},
    Language{"da", "Danish"},    Language{"de", "German"},     Language{"el", "Greek"},
    Language{"en", "English"},   Language{"es", "Spanish"},    Language{"et", "Estonian"},
    Language{"fa", "Persian"},   Language{"fi", "Finnish"},    Language{"fr", "French"},
    Language{"he", "Hebrew"},    Language{"hi", "Hindi"},      Language{"hr", "Croatian"},
    Language{"hu", "Hungarian"}, Language{"id", "Indonesian"}, Language{"it", "Italian"},
    Language{"ja", "Japanese"},  Language{"ko", "Korean"},     Language{"lt", "Lithuanian"},
    Language{"lv", "Latvian"},   Language{"nl", "Dutch"},      Language{"no", "Norwegian"},
    Language{"pl", "Polish"},    Language{"pt", "Portuguese"}, Language{"ro", "Romanian"},
    Language{"ru", "Russian"},   Language{"sk", "Slovak"},     Language{"sl", "Slovenian"},
    Language{"sv", "Swedish"},   Language{"th", "Thai"},       Language{"tr", "Turkish"},
    Language{"uk", "Ukrainian"}, Language{"vi", "Vietnamese"}, Language{"zh", "Chinese"}};

std::string list_languages() {
  std::string list;
  for (const auto& [code, name] : kLanguages) list.append(list.empty() ? "" : ", ").append(code);
  return list;
}

}  // namespace

std::optional<std::string_view> language_name(std::string_view code) {
  std::string wanted(code.substr(0, code.find_first_of("-_")));
  std::transform(wanted.begin(), wanted.end(), wanted.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  const auto found = std::find_if(kLanguages.begin(), kLanguages.end(),
                                  [&](const Language& language) { return language.first == wanted; });
  if (found == kLanguages.end()) return std::nullopt;
  return found->second;
}

std::optional<ChatFormat> find_chat_format(const Vocabulary& vocabulary) {
  const auto found = std::find_if(kFormats.begin(), kFormats.end(), [&](const KnownFormat& known) {
    return std::all_of(known.tokens.begin(), known.tokens.end(),
                       [&](std::string_view token) { return vocabulary.find_special(token).has_value(); });
  });
  if (found == kFormats.end()) return std::nullopt;
  return found->format;
}

PromptTemplate make_chat_prompt(const ChatFormat& format, std::string_view language,
                                const Vocabulary& vocabulary) {
  const auto name = language_name(language);
  if (!name) {
    throw Error(ErrorCode::kNotFound,
                fmt::format("prompt: target language of a stock model: expected one of [{}], got \"{}\"",
                            list_languages(), language));
  }
  const bool has_begin = !format.begin.empty() && vocabulary.find_special(format.begin).has_value();
  return {.source_prefix = fmt::format("{}{}", has_begin ? format.begin : "", format.user),
          .source_suffix = "",
          .target_prefix = {{std::string(language), fmt::format("\n\nTranslate the text above into {}.{}",
                                                                *name, format.assistant)}},
          .end = std::string(format.end)};
}

}  // namespace tandem
