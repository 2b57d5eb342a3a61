#include "stream/pair_layout.h"

#include <algorithm>

#include "stream/timeline.h"
#include "tandem/error.h"

namespace tandem {

TargetShape TargetShape::from_words(int n_prefix_rows, std::span<const int> word_tokens, int n_end_tokens) {
  TargetShape shape;
  shape.n_prefix_rows = n_prefix_rows;
  shape.n_words = static_cast<int>(word_tokens.size());
  shape.n_end_tokens = n_end_tokens;
  for (int word = 0; word < shape.n_words; ++word) {
    shape.word_of_token.insert(shape.word_of_token.end(), static_cast<std::size_t>(word_tokens[word]), word);
  }
  return shape;
}

TargetLayout layout_target(const SourceUnits& source, const TargetShape& target, WaitK k) {
  if (target.n_prefix_rows < 1) {
    throw Error(ErrorCode::kInvalidArgument,
                "layout_target: expected a target prefix of at least 1 row, got " +
                    std::to_string(target.n_prefix_rows));
  }
  TargetLayout layout;
  for (int word = 0; word <= target.n_words; ++word) {
    const int units = k.units_for_word(word, source.n_units());
    layout.units_for_word.push_back(units);
    layout.delay_for_word.push_back(source.words_after(units));
    layout.visible_for_word.push_back(source.rows_after(units));
  }
  const int n_tokens = static_cast<int>(target.word_of_token.size());
  const auto visible_for_token = [&](int token) {
    const int word = token < 0 ? 0 : token < n_tokens ? target.word_of_token[token] : target.n_words;
    return layout.visible_for_word[word];
  };
  for (int row = 0; row < target.n_rows(); ++row) {
    const int token = row - target.n_prefix_rows;  // the row's own token; the row predicts the one after it
    layout.visible.push_back(visible_for_token(token + 1));
    layout.old_visible.push_back(visible_for_token(token));
  }
  return layout;
}

std::vector<RowPlace> place_pair(int n_source_rows, std::span<const std::vector<int>> visible,
                                 Position target_start) {
  std::size_t n_rows = static_cast<std::size_t>(n_source_rows);
  for (const auto& rows : visible) n_rows += rows.size();
  Timeline timeline(target_start, static_cast<int>(n_rows), std::max(1, static_cast<int>(visible.size())));
  for (int row = 0; row < n_source_rows; ++row) timeline.add_source_row();
  for (std::size_t target = 0; target < visible.size(); ++target) {
    for (int rows_seen : visible[target])
      timeline.add_target_row(rows_seen, RowKind::kKept, static_cast<int>(target));
  }
  return {timeline.rows().begin(), timeline.rows().end()};
}

}  // namespace tandem
