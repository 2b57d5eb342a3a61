// What follows from what passes cost.
#include "engine/pass_costs.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "support/stub_session.h"

namespace tandem {
namespace {

TEST(PassCosts, LieOnLinesBetweenWhatWasMeasured) {
  const PassCosts costs({{1, 4.0}, {2, 5.0}, {8, 11.0}});
  EXPECT_DOUBLE_EQ(costs.ms(0.5), 4.0);
  EXPECT_DOUBLE_EQ(costs.ms(1.5), 4.5);
  EXPECT_DOUBLE_EQ(costs.ms(2), 5.0);
  EXPECT_DOUBLE_EQ(costs.ms(4), 7.0);
  EXPECT_DOUBLE_EQ(costs.ms(16), 22.0) << "beyond, in proportion";
}

TEST(PassCosts, ForksPayWhereRowsAreCheap) {
  const PassCosts flat({{1, 10.0}, {64, 12.0}});
  EXPECT_TRUE(flat.forks_pay(1));
  EXPECT_TRUE(flat.forks_pay(16));
  const PassCosts by_row({{1, 1.0}, {64, 64.0}});
  EXPECT_FALSE(by_row.forks_pay(1)) << "two rows for the price of two: a draft asks less";
  const PassCosts both({{1, 10.0}, {4, 10.0}, {8, 20.0}, {64, 160.0}});
  EXPECT_TRUE(both.forks_pay(1));
  EXPECT_FALSE(both.forks_pay(16)) << "with many sessions every row counts";
  const PassCosts gemma({{1, 9.34}, {2, 13.06}, {4, 16.74}});
  EXPECT_TRUE(gemma.forks_pay(1));
  const PassCosts gemma_in_copies({{1, 8.2}, {2, 9.4}, {4, 11.8}, {16, 26.2}, {64, 83.8}});
  EXPECT_TRUE(gemma_in_copies.forks_pay(1));
  EXPECT_TRUE(gemma_in_copies.forks_pay(4));
  const PassCosts smollm2({{1, 8.0}, {2, 16.0}, {4, 24.0}});
  EXPECT_FALSE(smollm2.forks_pay(1)) << "as cheap as drafts is not cheap enough";
}

TEST(PassCosts, ATableThatIsNoneIsRefused) {
  EXPECT_THROW(PassCosts({}), Error);
  EXPECT_THROW(PassCosts({{1, 0.0}}), Error);
  EXPECT_THROW(PassCosts({{0, 1.0}}), Error);
  EXPECT_THROW(PassCosts({{2, 1.0}, {2, 2.0}}), Error);
  EXPECT_THROW(PassCosts({{1, std::numeric_limits<double>::quiet_NaN()}}), Error);
}

/// Notes the passes and gives spans back.
class NotingNetwork final : public Network {
 public:
  explicit NotingNetwork(int n_slots, int max_rows) : n_free_(n_slots), max_rows_(max_rows) {}
  int max_rows_per_pass() const override { return max_rows_; }
  CacheSpan reserve(int n_slots) override {
    if (n_slots > n_free_) return {};
    n_free_ -= n_slots;
    return {.begin = 0, .size = n_slots};
  }
  void release(CacheSpan span) override { n_free_ += span.size; }
  Logits evaluate(std::span<const SessionRows> pass) override {
    n_rows.push_back(static_cast<int>(pass[0].rows.size()));
    EXPECT_EQ(pass[0].cached.size(), pass[0].rows.size());
    const bool is_wide = wide_rows_ > 0 && n_rows.back() >= wide_rows_;
    const bool pays = n_rows.back() >= wide_pays_from;
    std::this_thread::sleep_for(is_wide == pays ? pause_where_it_pays : pause);
    return {};
  }
  void set_wide_rows(int least) override { wide_rows_ = least; }
  int wide_rows() const { return wide_rows_; }

  std::vector<int> n_rows;
  int wide_pays_from = 1;
  std::chrono::milliseconds pause{5};
  std::chrono::milliseconds pause_where_it_pays{0};
  int n_free() const { return n_free_; }

 private:
  int n_free_;
  int wide_rows_ = 0;
  int max_rows_;
};

TEST(PassCosts, AreMeasuredInTheRoomThereIsAndLeaveItFree) {
  NotingNetwork network(64, 12);
  const auto points = measure_pass_costs(network, nullptr, 6);
  ASSERT_EQ(points.size(), 4U);
  EXPECT_EQ(points.back().rows, 8);
  EXPECT_EQ(network.n_rows, (std::vector{1, 1, 1, 2, 2, 2, 4, 4, 4, 8, 8, 8}));
  EXPECT_EQ(network.n_free(), 64);
  for (const PassCost& point : measure_pass_costs(network, nullptr, 1000)) EXPECT_LE(point.rows, 12);
  NotingNetwork full(3, 64);
  EXPECT_TRUE(measure_pass_costs(full, nullptr, 4).empty());
}

TEST(WideRows, BeginWhereTheyAreFaster) {
  for (const int from : {1, 2, 4, 8, 16, 32}) {
    NotingNetwork network(64, 64);
    network.wide_pays_from = from;
    EXPECT_EQ(find_wide_rows(network, nullptr, 64), from);
    EXPECT_EQ(network.wide_rows(), 0) << "the caller sets them";
    EXPECT_EQ(network.n_free(), 64);
  }
  NotingNetwork alone(64, 64);  // a session that has the engine for itself: no pass of its sees more rows
  EXPECT_EQ(find_wide_rows(alone, nullptr, 4), 1);
  EXPECT_EQ(*std::max_element(alone.n_rows.begin(), alone.n_rows.end()), 4);
}

TEST(WideRows, MayCostALittleWhereTheyAreNoFaster) {
  using std::chrono::milliseconds;
  NotingNetwork network(64, 64);
  network.pause = milliseconds(20);
  network.wide_pays_from = 1000;
  network.pause_where_it_pays = milliseconds(19);
  EXPECT_EQ(find_wide_rows(network, nullptr, 2), 1);
}

TEST(WideRows, AreNoneWhereTheyNeverAre) {
  NotingNetwork network(64, 64);
  network.wide_pays_from = 1000;
  EXPECT_EQ(find_wide_rows(network, nullptr, 64), 0);
  NotingNetwork full(3, 64);
  EXPECT_EQ(find_wide_rows(full, nullptr, 64), 0);
}

}  // namespace
}  // namespace tandem
