#include "cli/event_log.h"

#include <fmt/format.h>

#include <boost/json.hpp>

#include "text/utf8.h"

namespace tandem {
namespace {

std::string_view name_of(EventKind kind) {
  switch (kind) {
    case EventKind::kRead:
      return "read";
    case EventKind::kWrite:
      return "write";
    case EventKind::kCommit:
      return "commit";
    case EventKind::kSentence:
      return "sentence";
    case EventKind::kFailed:
      return "failed";
  }
  return "unknown";
}

std::string spell_bytes(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const Utf8Step step = next_utf8(text);
    const std::string_view bytes = text.substr(0, step.n_bytes);
    text.remove_prefix(step.n_bytes);
    if (step.status == Utf8Status::kWhole) {
      out += bytes;
    } else {
      for (char byte : bytes) out += fmt::format("<0x{:02X}>", static_cast<unsigned char>(byte));
    }
  }
  return out;
}

}  // namespace

std::string to_json(const Event& event, const EventPlace& place) {
  const auto quoted = [](const std::string& text) {
    return boost::json::serialize(boost::json::string(text));
  };
  return fmt::format(
      R"({{"event":"{}","ms":{:.3f},"line":{},"to":{},"index":{},"text":{},"delay":{},"visible":{},"passes":{}}})",
      name_of(event.kind), place.ms, place.line, quoted(std::string(place.language)), event.index,
      quoted(spell_bytes(event.text)), event.delay_words, event.visible_rows, event.passes);
}

}  // namespace tandem
