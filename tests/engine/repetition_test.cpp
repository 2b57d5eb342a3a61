// The rule against repeated n-grams, held against its definition.
#include "engine/repetition.h"

#include <gmock/gmock.h>

#include <random>

namespace tandem {
namespace {

using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

RepetitionBlock after(int n_gram, const std::vector<int>& ids) {
  RepetitionBlock block(n_gram);
  for (const int id : ids) block.accept(TokenId{id});
  return block;
}

TEST(RepetitionBlock, BlocksWhatWouldCompleteAnNGramThatIsThere) {
  EXPECT_THAT(after(3, {1, 2, 3, 1, 2}).blocked(), UnorderedElementsAre(TokenId{3}));
  EXPECT_THAT(after(3, {1, 2, 3, 1, 2, 4, 1, 2}).blocked(), UnorderedElementsAre(TokenId{3}, TokenId{4}));
  EXPECT_THAT(after(3, {1, 2, 3, 2, 1}).blocked(), IsEmpty());
  EXPECT_THAT(after(3, {7, 7, 7}).blocked(), UnorderedElementsAre(TokenId{7})) << "they may overlap";
  EXPECT_THAT(after(3, {7, 7}).blocked(), IsEmpty());
  EXPECT_THAT(after(1, {5, 6}).blocked(), UnorderedElementsAre(TokenId{5}, TokenId{6}));
}

TEST(RepetitionBlock, OfLengthZeroBlocksNothing) {
  EXPECT_THAT(after(0, {1, 1, 1, 1, 1}).blocked(), IsEmpty());
}

TEST(RepetitionBlock, BlocksExactlyThoseTokensOfARandomTarget) {
  constexpr int kIds = 3;
  std::mt19937 random(1);
  for (int round = 0; round < 300; ++round) {
    const int n_gram = 1 + round % 4;
    std::vector<int> target(random() % 20);
    for (int& id : target) id = static_cast<int>(random() % kIds);
    const RepetitionBlock block = after(n_gram, target);
    for (int id = 0; id < kIds; ++id) {
      std::vector<int> longer = target;
      longer.push_back(id);
      bool repeats = false;
      for (std::size_t at = 0; at + static_cast<std::size_t>(n_gram) < longer.size(); ++at)
        repeats = repeats || std::equal(longer.end() - n_gram, longer.end(),
                                        longer.begin() + static_cast<std::ptrdiff_t>(at));
      const auto blocked = block.blocked();
      EXPECT_EQ(std::find(blocked.begin(), blocked.end(), TokenId{id}) != blocked.end(), repeats)
          << "round " << round << ", id " << id;
    }
  }
}

}  // namespace
}  // namespace tandem
