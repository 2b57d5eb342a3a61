// Small examples for the tests of training: DESIGN's worked one, and random ones over 32 pieces.
#pragma once

#include <vector>

#include "train/collate.h"

namespace tandem {

inline std::vector<Prompt> worked_prompts() {
  const Prompt first{{TokenId{1}, TokenId{2}}, {TokenId{3}}, {TokenId{4}}, {TokenId{5}}};
  Prompt second = first;
  second.target_prefix = {TokenId{6}};
  return {first, second};
}

/// p0 p1 | w1 | w2a w2b | w3 | e    a | t1 | t2a t2b | t3 | end
inline Example worked_example() {
  Example example;
  example.source_tokens = {TokenId{10}, TokenId{11}, TokenId{12}, TokenId{13}};
  example.source_word_rows = {1, 2, 1};
  example.targets = {{0, {TokenId{20}, TokenId{21}, TokenId{22}, TokenId{23}}, {0, 1, 1, 2}, 3}};
  return example;
}

/// Words of 1 to 3 tokens; every second example has two targets.
inline std::vector<Example> random_examples(int n, std::uint64_t seed) {
  std::vector<Example> examples;
  Random random{seed};
  const auto token = [&] { return TokenId{static_cast<std::int32_t>(8 + random.below(24))}; };
  for (int i = 0; i < n; ++i) {
    Example example;
    const std::size_t n_source_words = 2 + random.below(5);
    for (std::size_t word = 0; word < n_source_words; ++word) {
      example.source_word_rows.push_back(static_cast<int>(1 + random.below(3)));
      for (int row = 0; row < example.source_word_rows.back(); ++row)
        example.source_tokens.push_back(token());
    }
    for (int language = 0; language <= i % 2; ++language) {
      TargetText target;
      target.language = language;
      target.n_words = static_cast<int>(2 + random.below(4));
      for (int word = 0; word < target.n_words; ++word) {
        const std::size_t n_rows = 1 + random.below(2);
        for (std::size_t row = 0; row < n_rows; ++row) {
          target.tokens.push_back(token());
          target.word_of_token.push_back(word);
        }
      }
      example.targets.push_back(target);
    }
    examples.push_back(example);
  }
  return examples;
}

}  // namespace tandem
