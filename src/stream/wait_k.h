// Wait-k as arithmetic: how many units target word t may use, and how many source rows that is.
//
//   word t (from 0) may use the first min(k + t, N) units; the end counts as word M of a target of M words;
//   k = inf is batch mode with the same weights.
//
// The suffix (end of source) comes with the last word, or as a unit of its own (EndMarker).
#pragma once

#include <limits>
#include <span>
#include <vector>

namespace tandem {

/// When the source suffix becomes visible.
enum class EndMarker {
  kWithLastWord,  // together with the last source word; with no source word, at once (the default)
  kOwnUnit,       // as one more unit after the last word; adds no delay (what the paper's code does)
};

/// The lag k of wait-k: at least 1, or unlimited.
class WaitK {
 public:
  /// Throws Error{kInvalidArgument} if k < 1.
  explicit WaitK(int k);
  static constexpr WaitK unlimited() { return WaitK(); }

  constexpr bool is_unlimited() const { return k_ == std::numeric_limits<int>::max(); }
  constexpr int value() const { return k_; }

  /// Units that target word `word` may use of the `n_units` that there are: min(k + word, n_units).
  int units_for_word(int word, int n_units) const;

  bool operator==(const WaitK&) const = default;

 private:
  constexpr WaitK() = default;
  int k_ = std::numeric_limits<int>::max();
};

/// Rows of the source, cut into units: the prefix, then one unit after the other. Grows as units arrive.
/// Invariant: rows_after(0) <= rows_after(1) <= ... ; the suffix lies in the last unit (or is one).
class SourceUnits {
 public:
  explicit SourceUnits(int n_prefix_rows = 0) : n_prefix_rows_(n_prefix_rows) {}

  /// The whole source at once, with the suffix where `end_marker` puts it.
  static SourceUnits whole(int n_prefix_rows, std::span<const int> word_rows, int n_suffix_rows,
                           EndMarker end_marker);

  void add_word(int n_rows);
  /// Ends the source: the suffix joins the last word (or the prefix, if no word came), or is a unit of its
  /// own.
  void add_suffix(int n_rows, EndMarker end_marker);

  int n_units() const { return static_cast<int>(unit_ends_.size()); }
  int n_words() const { return n_words_; }
  int n_rows() const { return rows_after(n_units()); }

  /// Source rows there are after `n_units` units: the visibility that they give. Needs n_units <= n_units().
  int rows_after(int n_units) const;
  /// Source words among the first `n_units` units: the delay that they cost.
  int words_after(int n_units) const;

 private:
  int n_prefix_rows_;
  int n_words_ = 0;
  std::vector<int> unit_ends_;  // rows up to and including each unit
};

}  // namespace tandem
