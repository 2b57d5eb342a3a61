// How a stock instruction model wants to be spoken to, for models without a template of their own (tandem.*).
//
// A file's chat template is a Jinja program; the few formats of our families are known by their special
// tokens instead. The source opens the user's turn and the instruction closes it on the target side, so that
// one source serves several targets and source and target joined are an ordinary chat:
//
//   source prefix   <|im_start|>user\n
//   source          The ferry leaves at noon.
//   target prefix   \n\nTranslate the text above into German.<|im_end|>\n<|im_start|>assistant\n
//   target          Die Fähre geht um zwölf.
//   end             <|im_end|>
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "text/prompt.h"
#include "text/vocabulary.h"

namespace tandem {

struct ChatFormat {
  std::string_view name;       // "gemma", "chatml", "llama3", "phi3"
  std::string_view begin;      // opens the text, left out where the vocabulary lacks it; may be empty
  std::string_view user;       // opens the user's turn
  std::string_view assistant;  // ends it and opens the model's
  std::string_view end;        // ends the model's turn
};

/// The format whose tokens the vocabulary has; nothing for a model without one (a base model of most
/// families).
std::optional<ChatFormat> find_chat_format(const Vocabulary& vocabulary);

/// The format's template for translation into `language`, a code such as "de" or "pt-BR". Throws
/// Error{kNotFound} for a code whose language's name is not known here, naming those that are.
PromptTemplate make_chat_prompt(const ChatFormat& format, std::string_view language,
                                const Vocabulary& vocabulary);

/// "German" for "de" or "de-AT"; nothing for codes not known here.
std::optional<std::string_view> language_name(std::string_view code);

}  // namespace tandem
