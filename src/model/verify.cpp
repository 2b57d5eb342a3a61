#include "model/verify.h"

#include <fmt/core.h>
#include <ggml.h>

#include <algorithm>
#include <cmath>

#include "model/adapter.h"
#include "model/model.h"
#include "model/yardstick.h"
#include "stream/timeline.h"
#include "tandem/error.h"

namespace tandem {

namespace {

constexpr int kMostTokens = 4096;

// Plain English with numbers, punctuation and a few letters beyond ASCII; repeated for longer texts.
constexpr std::string_view kText =
    "The ferry to the island leaves at half past seven, and whoever misses it has to wait until noon. In "
    "1984 a storm kept all boats in the harbour for eleven days; the baker, Mrs Zo\u00eb M\u00fcller, is "
    "said "
    "to have sold her last loaf on the third. \"Nobody went hungry,\" she told a newspaper later, \"but we "
    "learned to like fish.\" Today about 2,300 people live there, most of them from fishing, the school and "
    "the visitors who come for the cliffs in the west. ";

/// Greedy share and mean difference that a type of weights allows, of a deviation of the logits of 1: f32
/// leaves only the order of sums and GELU's table; the others round the rows of a product too, and a row near
/// an edge of that rounding falls to its other side.
struct Tolerance {
  std::string_view type;
  double mean;
  double greedy;
};
constexpr Tolerance kTolerances[] = {{"f32", 5e-4, 0.99}, {"f16", 2e-3, 0.97}, {"bf16", 1e-2, 0.95}};
constexpr Tolerance kQuantised = {"", 0.1, 0.9};

Tolerance tolerance_of(std::string_view type) {
  const auto* found = std::find_if(std::begin(kTolerances), std::end(kTolerances),
                                   [&](const Tolerance& t) { return t.type == type; });
  return found == std::end(kTolerances) ? kQuantised : *found;
}

std::size_t best(std::span<const float> logits) {
  return static_cast<std::size_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

/// Compares rows as they come.
class Comparison {
 public:
  void add(std::span<const float> got, std::span<const float> expected) {
    TANDEM_CHECK(got.size() == expected.size());
    for (std::size_t i = 0; i < got.size(); ++i) {
      const double difference = std::abs(double{got[i]} - expected[i]);
      if (!(difference <= max_)) max_ = difference;  // NaN stays
      sum_ += difference;
      expected_sum_ += expected[i];
      expected_squares_ += double{expected[i]} * expected[i];
    }
    n_values_ += static_cast<double>(got.size());
    n_equal_ += best(got) == best(expected);
    ++n_rows_;
  }

  void fill(VerifyReport& report) const {
    const double mean = expected_sum_ / n_values_;
    report.n_rows = n_rows_;
    report.max_abs = max_;
    report.mean_abs = sum_ / n_values_;
    report.deviation = std::sqrt(std::max(0.0, expected_squares_ / n_values_ - mean * mean));
    report.greedy_equal = static_cast<double>(n_equal_) / n_rows_;
  }

 private:
  double max_ = 0, sum_ = 0, expected_sum_ = 0, expected_squares_ = 0, n_values_ = 0;
  int n_equal_ = 0, n_rows_ = 0;
};

/// One sequence through Tandem, as source and then as target with phi = S.
class Line {
 public:
  Line(Network& network, std::shared_ptr<const Adapter> adapter, int n_source, int n_slots)
      : network_(network),
        adapter_(std::move(adapter)),
        n_source_(n_source),
        span_(network.reserve(n_slots)),
        timeline_(Position::whole(n_source), n_slots) {}

  Logits evaluate(std::span<const TokenId> tokens) {
    SessionRows rows{.span = span_, .cached = {}, .rows = {}, .adapter = adapter_};
    for (const TokenId token : tokens) {
      const bool is_source = timeline_.n_source_rows() < n_source_;
      const RowPlace place =
          is_source ? timeline_.add_source_row() : timeline_.add_target_row(n_source_, RowKind::kKept);
      rows.rows.push_back({token, place, true});
    }
    rows.cached = timeline_.rows();
    return network_.evaluate(std::span(&rows, 1));
  }

 private:
  Network& network_;
  std::shared_ptr<const Adapter> adapter_;
  int n_source_;
  CacheSpan span_;
  Timeline timeline_;
};

/// The logits that a head has, of those of the whole vocabulary.
std::vector<float> of_head(const Head& head, std::span<const float> logits) {
  if (head.ids.empty()) return {logits.begin(), logits.end()};
  std::vector<float> some;
  for (const TokenId id : head.ids) some.push_back(logits[static_cast<std::size_t>(to_int(id))]);
  return some;
}

TokenId best_of(const Head& head, std::span<const float> logits) {
  const std::size_t row = best(logits);
  return head.ids.empty() ? TokenId{static_cast<std::int32_t>(row)} : head.ids[row];
}

std::string text_of(std::size_t n_bytes) {
  std::string text;
  while (text.size() < n_bytes) text += kText;
  return text;
}

bool makes_round_trip(const Vocabulary& vocabulary, const Yardstick& yardstick) {
  const std::string text(kText.substr(0, kText.size() - 1));  // without the space at its end
  const std::vector<TokenId> tokens = vocabulary.tokenize(text);
  std::string bytes;
  for (const TokenId token : tokens) bytes += vocabulary.bytes(token);
  if (bytes.starts_with(' ')) bytes.erase(0, 1);  // the mark that some vocabularies put before every text
  std::vector<TokenId> words;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find(' ', begin), text.size());
    const std::vector<TokenId> word = vocabulary.tokenize_word(text.substr(begin, end - begin), begin == 0);
    words.insert(words.end(), word.begin(), word.end());
    begin = end + 1;
  }
  // libllama's own begin with BOS and may end with EOS.
  const std::vector<TokenId> whole = yardstick.tokenize(text);
  const bool is_libllamas =
      std::search(whole.begin(), whole.end(), tokens.begin(), tokens.end()) != whole.end();
  return bytes == text && words == tokens && is_libllamas;
}

}  // namespace

bool VerifyReport::is_within_tolerance() const {
  return mean_abs <= mean_tolerance && greedy_equal >= least_greedy_equal && tokenizer_round_trip;
}

VerifyReport verify_model(const std::string& path, const VerifyOptions& options) {
  if (options.n_tokens < 2 || options.n_tokens > kMostTokens) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("tokens: expected 2 to {}, got {}", kMostTokens, options.n_tokens));
  }
  const auto model = Model::load(path);
  const auto adapter = options.adapter.empty() ? nullptr : model->load_adapter(options.adapter);
  const Head& head = adapter ? *adapter->head() : *model->head();
  const int n_all = 2 * options.n_tokens;
  Yardstick yardstick(
      path, {.n_threads = options.n_threads, .n_context = std::max(n_all, 256), .adapter = options.adapter});
  const auto network = model->make_network(
      {.n_threads = options.n_threads, .n_slots = n_all, .max_rows_per_pass = options.n_tokens});

  std::vector<TokenId> tokens = yardstick.tokenize(text_of(32 * static_cast<std::size_t>(options.n_tokens)));
  tokens.resize(static_cast<std::size_t>(options.n_tokens));
  const auto n_vocab = static_cast<std::size_t>(yardstick.n_vocab());
  Comparison comparison;
  Line line(*network, adapter, options.n_tokens / 2, n_all);
  const std::vector<float> all = yardstick.logits(tokens);
  const Logits got = line.evaluate(tokens);
  std::vector<float> expected;
  for (int i = 0; i < options.n_tokens; ++i) {
    expected = of_head(head, std::span(all).subspan(static_cast<std::size_t>(i) * n_vocab, n_vocab));
    comparison.add(got.row(i), expected);
  }
  for (int i = 0; i < options.n_tokens; ++i) {
    const TokenId token = best_of(head, expected);
    expected = of_head(head, yardstick.next(token));
    comparison.add(line.evaluate(std::span(&token, 1)).row(0), expected);
  }

  VerifyReport report;
  comparison.fill(report);
  report.architecture = model->config().architecture;
  report.type = model->weight_type();
  report.n_ids = static_cast<int>(head.matrix->ne[1]);
  report.tokenizer_round_trip = makes_round_trip(*model->vocabulary(), yardstick);
  const Tolerance tolerance = tolerance_of(report.type);
  report.mean_tolerance = tolerance.mean * report.deviation;
  report.least_greedy_equal = tolerance.greedy;
  return report;
}

}  // namespace tandem
