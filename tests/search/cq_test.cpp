#include <gtest/gtest.h>

#include "qtool/search.hpp"

namespace qtool {
namespace {

// Eight groups of equal size, choices of 2, 3, 4 bits.
Problem eight() {
  return {.loss = std::vector<std::vector<double>>(8, {1.0, 0.25, 0.0625}),
          .cost = {std::vector<std::vector<int64_t>>(8, {2, 3, 4})},
          .limit = {24},
          .importance = {5, 1, 4, 2, 8, 3, 7, 6}};
}

TEST(Cq, WidthsFollowImportance) {
  Problem p = eight();
  p.limit = {26};
  const Solution s = solve(p, "cq");
  ASSERT_TRUE(s.found());
  EXPECT_LE(s.cost[0], 26);
  for (size_t a = 0; a < 8; ++a) {
    for (size_t b = 0; b < 8; ++b) {
      if (p.importance[a] > p.importance[b]) {
        EXPECT_GE(s.choice[a], s.choice[b]);
      }
    }
  }
}

// Quality is lost by each group at 2 bits: the lowest threshold stops when half of it is gone.
TEST(Cq, TheLowestThresholdStopsAtTheTarget) {
  Problem p = eight();
  p.limit = {1000};
  int looked = 0;
  p.quality = [&](const std::vector<int>& choice) {
    ++looked;
    double lost = 0;
    for (int c : choice) lost += c == 0 ? 0.125 : c == 1 ? 0.01 : 0;
    return 1 - lost;
  };
  const Solution s = solve(p, "cq:target=50");
  EXPECT_GT(looked, 2);
  EXPECT_LT(looked, 12);
  EXPECT_EQ(s.loss, 8 * 0.0625);  // the limit does not bind: everything is given back
  p.limit = {2 * 4 + 4 * 3};
  const Solution tight = solve(p, "cq:target=50");
  EXPECT_EQ(tight.choice, (std::vector<int>{1, 0, 0, 0, 1, 0, 1, 1}));
}

TEST(Cq, LiesAboveTheBound) {
  const Solution s = solve(eight(), "cq"), best = solve(eight());
  EXPECT_GE(s.loss, best.loss);
  EXPECT_LE(s.bound, best.loss);
}

}  // namespace
}  // namespace qtool
