// `--events`: one JSON object per READ, WRITE, commit, end of a sentence and failure.
//
//   {"event":"commit","ms":41.7,"line":1,"to":"de","index":2,"text":"
//   Mädchen","delay":5,"visible":8,"passes":4}
//
// `ms` counts from the start, `line` from 1, `index` (unit read, or word written) from 0. `delay` is the
// source words read by then, `visible` the source rows that could be seen, `passes` those of the session so
// far.
#pragma once

#include <string>
#include <string_view>

#include "tandem/engine.h"

namespace tandem {

struct EventPlace {
  double ms = 0;
  std::size_t line = 0;
  std::string_view language;
};

/// One object, without a line end. A piece may be part of a character: bytes that are no whole one stand as
/// <0xE4>, for JSON is UTF-8.
std::string to_json(const Event& event, const EventPlace& place);

}  // namespace tandem
