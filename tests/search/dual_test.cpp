#include "search/dual.hpp"

#include <gtest/gtest.h>

#include "search/problems.hpp"

namespace qtool::search {
namespace {

const OnFit kIgnore = [](const Assignment&) {};

TEST(SearchDual, IsTheLinearProgramsOptimumForOneLimit) {
  // Both flips save 1 per unit; 4 of the 5 units that would save everything fit.
  const Problem q{.loss = {{2, 0}, {3, 0}}, .cost = {{{0, 2}, {0, 3}}}, .limit = {4}};
  const Dual dual = solve_dual(*reduce(q), kIgnore);
  EXPECT_NEAR(dual.bound, 1, 1e-12);
  EXPECT_NEAR(dual.price[0], 1, 1e-12);
}

TEST(SearchDual, HoldsTheLimitWithOneLimit) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    const std::optional<Table> t = reduce(test::network_problem(seed, 30, 1));
    const Dual dual = solve_dual(*t, kIgnore);
    const Assignment a = make_assignment(*t, dual.item);
    EXPECT_TRUE(fits(*t, a.cost));
    // The assignment is cheapest at the price, so its priced loss is the bound.
    const double priced = a.loss + dual.price[0] * static_cast<double>(a.cost[0] - t->limit[0]);
    EXPECT_NEAR(priced, dual.bound, 1e-9 * a.loss);
  }
}

TEST(SearchDual, BoundsFallNoFurtherThanTheSingleLimits) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const Problem p = test::network_problem(seed, 30, 3);
    const Dual all = solve_dual(*reduce(p), kIgnore);
    for (size_t k = 0; k < 3; ++k) {
      const Problem one{p.loss, {p.cost[k]}, {p.limit[k]}};
      EXPECT_GE(all.bound, solve_dual(*reduce(one), kIgnore).bound * (1 - 1e-9));
    }
  }
}

TEST(SearchDual, EveryPriceGivesABound) {
  Rng rng(4);
  for (uint64_t seed = 0; seed < 50; ++seed) {
    const Problem p = test::network_problem(seed, 4, 2);
    const Solution truth = solve(p, "brute-force");
    if (!truth.found()) continue;
    const Table t = *reduce(p);
    for (int i = 0; i < 20; ++i) {
      std::vector<double> price;
      for (int64_t limit : t.limit) price.push_back(rng.uniform() / static_cast<double>(limit));
      EXPECT_LE(t.loss_offset + relax(t, all_items(t), price).bound, truth.loss * (1 + 1e-12));
    }
  }
}

TEST(SearchDual, SeesLimitsThatExcludeEachOther) {
  Problem p{.loss = {}, .cost = {{}, {}}, .limit = {25, 25}};
  for (int g = 0; g < 10; ++g) {
    p.loss.push_back({0, 0.1});
    p.cost[0].push_back({1, 5});
    p.cost[1].push_back({5, 1});
  }
  EXPECT_TRUE(solve_dual(*reduce(p), kIgnore).excluded);
  p.limit = {30, 30};
  EXPECT_FALSE(solve_dual(*reduce(p), kIgnore).excluded);
}

TEST(SearchDual, ReportsAssignmentsThatFit) {
  const Table t = *reduce(test::network_problem(1, 30, 3));
  int count = 0;
  solve_dual(t, [&](const Assignment& a) {
    ++count;
    EXPECT_TRUE(fits(t, a.cost));
  });
  EXPECT_GT(count, 0);
}

}  // namespace
}  // namespace qtool::search
