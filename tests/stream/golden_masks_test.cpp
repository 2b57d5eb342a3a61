// Positions, delays, visibilities and masks of the group paradigm, held against golden vectors that were
// written by an independent program (tests/golden/README.md).
#include <gtest/gtest.h>

#include <cmath>

#include "stream/pair_layout.h"
#include "support/golden.h"

namespace tandem {
namespace {

std::vector<int> ints(const boost::json::value& array) {
  std::vector<int> out;
  for (const auto& item : array.as_array()) out.push_back(static_cast<int>(item.as_int64()));
  return out;
}

WaitK wait_k(const boost::json::value& k) {
  return k.is_string() ? WaitK::unlimited() : WaitK(static_cast<int>(k.as_int64()));
}

class GoldenMask : public ::testing::TestWithParam<std::filesystem::path> {};

TEST_P(GoldenMask, PositionsDelaysAndVisibilityAgree) {
  const auto golden = testing::read_json(GetParam());
  const auto& in = golden.at("inputs");
  const auto end_marker =
      in.at("end_marker").as_string() == "own_unit" ? EndMarker::kOwnUnit : EndMarker::kWithLastWord;
  const auto source =
      SourceUnits::whole(static_cast<int>(in.at("source_prefix").as_int64()), ints(in.at("source_words")),
                         static_cast<int>(in.at("source_suffix").as_int64()), end_marker);
  const auto target =
      TargetShape::from_words(static_cast<int>(in.at("target_prefix").as_int64()),
                              ints(in.at("target_words")), static_cast<int>(in.at("target_end").as_int64()));
  const TargetLayout layout = layout_target(source, target, wait_k(in.at("k")));
  EXPECT_EQ(source.n_rows(), golden.at("n_source_rows").as_int64());
  EXPECT_EQ(target.n_rows(), golden.at("n_target_rows").as_int64());
  EXPECT_EQ(layout.units_for_word, ints(golden.at("units_read_for_word")));
  EXPECT_EQ(layout.delay_for_word, ints(golden.at("delay_words_for_word")));
  EXPECT_EQ(layout.visible_for_word, ints(golden.at("visible_for_word")));
  EXPECT_EQ(layout.visible, ints(golden.at("visible")));

  const double phi = golden.at("phi").to_number<double>();
  const Position target_start = Position::from_doubled(static_cast<int>(std::lround(2 * phi)));
  const auto rows = place_pair(source.n_rows(), std::vector<std::vector<int>>{layout.visible}, target_start);
  const auto n_source = static_cast<std::size_t>(source.n_rows());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto& expected =
        i < n_source ? golden.at("source_positions").at(i) : golden.at("target_positions").at(i - n_source);
    EXPECT_EQ(rows[i].position.value(), expected.to_number<double>()) << "row " << i;
  }
  std::vector<float> mask(rows.size() * rows.size());
  fill_mask(rows, rows, mask);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    std::string line;
    for (std::size_t j = 0; j < rows.size(); ++j) line += mask[i * rows.size() + j] == 0.0F ? '1' : '0';
    EXPECT_EQ(line, golden.at("mask").at(i).as_string()) << "row " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Group, GoldenMask,
                         ::testing::ValuesIn(testing::golden_files("masks/group", ".json")));

}  // namespace
}  // namespace tandem
