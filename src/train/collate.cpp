#include "train/collate.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "stream/pair_layout.h"
#include "tandem/error.h"

namespace tandem {
namespace {

/// A target group before it is placed: its rows' tokens, labels, and both visibilities.
struct TargetRows {
  std::vector<std::int32_t> tokens, labels;
  std::vector<int> visible, old_visible;
};

void append(std::vector<std::int32_t>& out, std::span<const TokenId> ids) {
  for (const TokenId id : ids) out.push_back(to_int(id));
}

SourceUnits units_of(const Example& example, const Prompt& prompt, EndMarker end_marker) {
  return SourceUnits::whole(static_cast<int>(prompt.source_prefix.size()), example.source_word_rows,
                            static_cast<int>(prompt.source_suffix.size()), end_marker);
}

/// Row j predicts token j + 1; rows of the prefix predict nothing but for the last; the last end token is no
/// row.
TargetRows rows_of(const TargetText& target, const Prompt& prompt, const SourceUnits& source, WaitK k) {
  TargetRows rows;
  append(rows.tokens, prompt.target_prefix);
  append(rows.tokens, target.tokens);
  append(rows.tokens, prompt.end);
  rows.labels.assign(rows.tokens.begin() + 1, rows.tokens.end());
  rows.tokens.pop_back();
  std::fill_n(rows.labels.begin(), prompt.target_prefix.size() - 1, -1);

  TargetShape shape;
  shape.n_prefix_rows = static_cast<int>(prompt.target_prefix.size());
  shape.word_of_token = target.word_of_token;
  shape.n_words = target.n_words;
  shape.n_end_tokens = static_cast<int>(prompt.end.size());
  TargetLayout layout = layout_target(source, shape, k);
  rows.visible = std::move(layout.visible);
  rows.old_visible = std::move(layout.old_visible);
  TANDEM_CHECK(rows.visible.size() == rows.tokens.size());
  return rows;
}

/// Gives each row whose two visibilities differ (the last one of a word) either, with equal chance.
void draw_visibilities(TargetRows& rows, Random& random) {
  for (std::size_t row = 0; row < rows.visible.size(); ++row) {
    if (rows.visible[row] != rows.old_visible[row] && random.coin())
      rows.visible[row] = rows.old_visible[row];
  }
}

/// A second copy of each such row, under the old visibility and with the same label, that no row sees.
void add_drafts(LaidOutExample& out, const TargetRows& rows, std::size_t first_row) {
  for (std::size_t row = 0; row < rows.visible.size(); ++row) {
    if (rows.visible[row] == rows.old_visible[row]) continue;
    RowPlace draft = out.rows[first_row + row];
    draft.visible = rows.old_visible[row];
    draft.kind = RowKind::kDraft;
    draft.slot = Slot{static_cast<std::int32_t>(out.rows.size())};
    out.rows.push_back(draft);
    out.tokens.push_back(rows.tokens[row]);
    out.labels.push_back(rows.labels[row]);
  }
}

}  // namespace

Collator::Collator(std::vector<Prompt> prompts, const TrainConfig& config, int window)
    : prompts_(std::move(prompts)),
      ks_(config.ks),
      boundary_(config.boundary),
      target_start_(Position::from_doubled(static_cast<std::int32_t>(std::lround(2 * config.phi)))),
      window_(window) {
  if (ks_.empty() || (!config.k_weights.empty() && config.k_weights.size() != ks_.size())) {
    throw Error(ErrorCode::kInvalidArgument, "training: expected one weight per k, got " +
                                                 std::to_string(ks_.size()) + " ks and " +
                                                 std::to_string(config.k_weights.size()) + " weights");
  }
  double total = 0.0;
  for (std::size_t i = 0; i < ks_.size(); ++i) {
    cumulative_k_weights_.push_back(total += config.k_weights.empty() ? 1.0 : config.k_weights[i]);
  }
}

int Collator::count_rows(const Example& example) const {
  const auto size = [](const auto& values) { return static_cast<int>(values.size()); };
  const Prompt& prompt = prompts_[0];
  int rows = size(prompt.source_prefix) + size(example.source_tokens) + size(prompt.source_suffix);
  for (const TargetText& target : example.targets) {
    const Prompt& own = prompts_[static_cast<std::size_t>(target.language)];
    rows += size(own.target_prefix) + size(target.tokens) + size(own.end) - 1;
    if (boundary_ == BoundaryRows::kBoth) rows += target.n_words;
  }
  return rows;
}

Collator::Draw Collator::draw_for(const Example& example, Random& random) const {
  Draw draw;
  draw.end_marker = random.coin() ? EndMarker::kWithLastWord : EndMarker::kOwnUnit;
  draw.boundary = boundary_;
  for (std::size_t target = 0; target < example.targets.size(); ++target) {
    const double point = random.uniform() * cumulative_k_weights_.back();
    const auto found =
        std::upper_bound(cumulative_k_weights_.begin(), cumulative_k_weights_.end() - 1, point);
    draw.ks.push_back(ks_[static_cast<std::size_t>(found - cumulative_k_weights_.begin())]);
  }
  return draw;
}

LaidOutExample Collator::lay_out(const Example& example, const Draw& draw, Random* random) const {
  const Prompt& prompt = prompts_[0];  // the source side is the same for every language
  const SourceUnits source = units_of(example, prompt, draw.end_marker);
  std::vector<TargetRows> targets;
  std::vector<std::vector<int>> visible;
  for (std::size_t i = 0; i < example.targets.size(); ++i) {
    const TargetText& text = example.targets[i];
    targets.push_back(rows_of(text, prompts_[static_cast<std::size_t>(text.language)], source, draw.ks[i]));
    if (draw.boundary == BoundaryRows::kDraw) draw_visibilities(targets.back(), *random);
    visible.push_back(targets.back().visible);
  }

  LaidOutExample out;
  out.rows = place_pair(source.n_rows(), visible, target_start_);
  append(out.tokens, prompt.source_prefix);
  append(out.tokens, example.source_tokens);
  append(out.tokens, prompt.source_suffix);
  out.labels.assign(out.tokens.size(), -1);
  for (const TargetRows& rows : targets) {
    out.tokens.insert(out.tokens.end(), rows.tokens.begin(), rows.tokens.end());
    out.labels.insert(out.labels.end(), rows.labels.begin(), rows.labels.end());
  }
  TANDEM_CHECK(out.rows.size() == out.tokens.size());
  if (draw.boundary == BoundaryRows::kBoth) {
    std::size_t first_row = static_cast<std::size_t>(source.n_rows());
    for (const TargetRows& rows : targets) {
      add_drafts(out, rows, first_row);
      first_row += rows.tokens.size();
    }
  }
  return out;
}

LaidOutExample Collator::lay_out(const Example& example, Random& random) const {
  return lay_out(example, draw_for(example, random), &random);
}

Batch Collator::collate(std::span<const Example* const> examples, Random& random) const {
  std::vector<LaidOutExample> laid_out;
  for (const Example* example : examples) laid_out.push_back(lay_out(*example, random));
  return pack(laid_out, window_);
}

Batch Collator::collate_at(std::span<const Example* const> examples, WaitK k) const {
  std::vector<LaidOutExample> laid_out;
  for (const Example* example : examples) {
    Draw draw;
    draw.ks.assign(example->targets.size(), k);
    laid_out.push_back(lay_out(*example, draw, nullptr));
  }
  return pack(laid_out, window_);
}

namespace {

/// Whether any two rows of the examples stand too far apart for the window.
bool exceeds(std::span<const LaidOutExample> examples, int window) {
  if (window == kNoWindow) return false;
  for (const LaidOutExample& example : examples) {
    for (const RowPlace& row : example.rows) {
      if (row.position.doubled() >= 2 * window) return true;
    }
  }
  return false;
}

}  // namespace

Batch pack(std::span<const LaidOutExample> examples, int window) {
  Batch batch;
  batch.n_sequences = static_cast<int>(examples.size());
  std::size_t n_places = 0;
  for (const LaidOutExample& example : examples) n_places = std::max(n_places, example.rows.size());
  batch.n_places = static_cast<int>(n_places);
  batch.mask.assign(examples.size() * n_places * n_places, -std::numeric_limits<float>::infinity());
  if (exceeds(examples, window)) batch.window_mask = batch.mask;

  for (std::size_t sequence = 0; sequence < examples.size(); ++sequence) {
    const LaidOutExample& example = examples[sequence];
    for (std::size_t row = 0; row < example.rows.size(); ++row) {
      const std::size_t place = sequence * n_places + row;
      fill_mask({&example.rows[row], 1}, example.rows, {&batch.mask[place * n_places], example.rows.size()});
      if (!batch.window_mask.empty()) {
        fill_mask({&example.rows[row], 1}, example.rows,
                  {&batch.window_mask[place * n_places], example.rows.size()}, window);
      }
      if (example.labels[row] >= 0) {
        batch.label_rows.push_back(static_cast<std::int32_t>(batch.tokens.size()));
        batch.labels.push_back(example.labels[row]);
      }
      batch.tokens.push_back(example.tokens[row]);
      batch.place.push_back(static_cast<std::int32_t>(place));
      batch.doubled_position.push_back(example.rows[row].position.doubled());
    }
  }
  return batch;
}

}  // namespace tandem
