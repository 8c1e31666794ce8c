#include <gtest/gtest.h>

#include "search/problems.hpp"

namespace qtool {
namespace {

TEST(Pareto, EveryPointIsOptimalForWhatItCosts) {
  for (uint64_t seed = 0; seed < 5; ++seed) {
    Problem p = test::network_problem(seed, 12, 1);
    const Solution s = solve(p, "pareto:points=1000");
    ASSERT_GT(s.frontier.size(), 12u);
    int64_t cost_before = -1;
    double loss_before = test::kInf;
    for (const std::vector<int>& choice : s.frontier) {
      int64_t cost = 0;
      double loss = 0;
      for (size_t g = 0; g < choice.size(); ++g) {
        cost += p.cost[0][g][static_cast<size_t>(choice[g])];
        loss += p.loss[g][static_cast<size_t>(choice[g])];
      }
      EXPECT_GT(cost, cost_before);
      EXPECT_LT(loss, loss_before);
      cost_before = cost, loss_before = loss;
      p.limit = {cost};
      EXPECT_NEAR(solve(p).loss, loss, 1e-9 * loss);
    }
  }
}

TEST(Pareto, HoldsTheLimitItself) {
  const Problem p = test::network_problem(3, 40, 1);
  const Solution s = solve(p, "pareto"), best = solve(p);
  EXPECT_LE(s.cost[0], p.limit[0]);
  EXPECT_LE(best.loss, s.loss);
  EXPECT_LE(s.loss, best.loss * 1.02);
  EXPECT_EQ(s.frontier.size(), 33u);
}

}  // namespace
}  // namespace qtool
