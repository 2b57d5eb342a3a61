// Wait-k decoding as the design's text says it, one word after the other, re-encoding everything for each
// question: no cache, no slots, no passes. Slow and obvious; the engine must write the same.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "stream/wait_k.h"
#include "support/stub_network.h"

namespace tandem::testing {

struct SlowResult {
  std::vector<int> tokens;
  std::vector<int> delays;
};

class SlowDecoder {
 public:
  /// `lone_mark`: the piece that is a mark and nothing else, if there is one. `no_repeat_ngram`: 0, or the
  /// length of what may not stand twice in the target.
  SlowDecoder(std::uint64_t seed, SourceUnits source, WaitK k, int target_prefix, int lone_mark = -1,
              int no_repeat_ngram = 0)
      : seed_(seed),
        source_(std::move(source)),
        k_(k),
        lone_mark_(lone_mark),
        no_repeat_ngram_(no_repeat_ngram),
        target_(static_cast<std::size_t>(target_prefix), TokenId{1}) {}

  SlowResult run() {
    read_to(wanted(0));
    bool only_new_word = false;
    for (int word = -1;;) {  // the word written last
      if (word >= 0 && !only_new_word && !only_marks_ && rows(wanted(word + 1)) != rows(read_)) {
        const auto logits = ask();
        if (!is_boundary(logits)) {
          write(best(logits, [](int id) { return id >= 8 && id <= 12; }));
          continue;
        }
        commit();
        only_new_word = true;
      }
      if (only_new_word) read_to(wanted(word + 1));
      const int choice = best(ask(), [&](int id) { return id >= 2 && id <= (only_new_word ? 7 : 12); });
      if (choice == 2 && read_ < source_.n_units()) {  // an early end
        read_to(read_ + 1);
        continue;
      }
      if (word >= 0 && !only_new_word && !only_marks_ && choice <= 7) commit();
      if (choice == 2) return result_;
      if (word < 0 || (choice <= 7 && !only_marks_)) read_to(wanted(++word));
      write(choice);
      only_new_word = false;
    }
  }

 private:
  int wanted(int word) const { return std::max(read_, k_.units_for_word(word, source_.n_units())); }
  int rows(int units) const { return source_.rows_after(units); }
  void read_to(int units) { read_ = units; }
  std::vector<float> ask() const {
    return stub_logits(seed_, static_cast<std::uint64_t>(rows(read_)), target_);
  }
  void write(int id) {
    result_.tokens.push_back(id);
    target_.push_back(TokenId{id});
    only_marks_ = id == lone_mark_;
  }
  void commit() { result_.delays.push_back(source_.words_after(read_)); }

  /// Whether `id` would complete n tokens that the target already has in this order.
  bool would_repeat(int id) const {
    const auto n = static_cast<std::size_t>(no_repeat_ngram_);
    std::vector<int> longer = result_.tokens;
    longer.push_back(id);
    if (n == 0 || id == 2 || longer.size() <= n) return false;
    const std::vector<int> last(longer.end() - static_cast<std::ptrdiff_t>(n), longer.end());
    return std::search(longer.begin(), longer.end() - 1, last.begin(), last.end()) != longer.end() - 1;
  }

  bool is_boundary(const std::vector<float>& logits) const {
    double begins = 0;
    double goes_on = 0;
    for (int id = 2; id <= 12; ++id)
      if (!would_repeat(id)) (id <= 7 ? begins : goes_on) += std::exp(logits[static_cast<std::size_t>(id)]);
    return begins > goes_on;
  }
  template <class Allowed>
  int best(const std::vector<float>& logits, Allowed allowed) const {
    int best_id = -1;
    for (int id = 0; id < kStubVocabulary; ++id) {
      const auto better = [&] {
        return logits[static_cast<std::size_t>(id)] > logits[static_cast<std::size_t>(best_id)];
      };
      if (allowed(id) && !would_repeat(id) && (best_id < 0 || better())) best_id = id;
    }
    return best_id;
  }

  std::uint64_t seed_;
  SourceUnits source_;
  WaitK k_;
  int lone_mark_;
  int no_repeat_ngram_;
  bool only_marks_ = false;  // the word so far is nothing but marks: it goes on
  std::vector<TokenId> target_;
  int read_ = 0;
  SlowResult result_;
};

}  // namespace tandem::testing
