// Every solver against brute force on small random problems, and on large ones against the bound.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "search/problems.hpp"

namespace qtool {
namespace {

using test::Shape;

double tolerance(const Problem& p) {
  double sum = 0;
  for (const auto& group : p.loss) {
    double largest = 0;
    for (double loss : group)
      largest = std::isfinite(loss) ? std::max(largest, std::abs(loss)) : largest;
    sum += largest;
  }
  return 1e-11 * sum;
}

// What holds for every result of every solver.
void check_consistent(const Problem& p, const Solution& s) {
  EXPECT_FALSE(s.solver.empty());
  if (!s.found()) {
    EXPECT_TRUE(s.choice.empty());
    EXPECT_EQ(s.loss, test::kInf);
    return;
  }
  ASSERT_EQ(s.choice.size(), p.loss.size());
  double loss = 0;
  for (size_t g = 0; g < p.loss.size(); ++g) loss += p.loss[g][s.choice[g]];
  EXPECT_EQ(s.loss, loss);
  EXPECT_TRUE(std::isfinite(loss));
  for (size_t k = 0; k < p.limit.size(); ++k) {
    int64_t cost = 0;
    for (size_t g = 0; g < p.loss.size(); ++g) cost += p.cost[k][g][s.choice[g]];
    EXPECT_EQ(s.cost[k], cost);
    EXPECT_LE(cost, p.limit[k]);
  }
  EXPECT_LE(s.bound, s.loss);
  EXPECT_GE(s.gap, 0);
  if (s.status == Solution::kOptimal) {
    EXPECT_EQ(s.bound, s.loss);
    EXPECT_EQ(s.gap, 0);
  }
}

void check_against_brute_force(const Problem& p, std::string_view solver) {
  const Solution truth = solve(p, "brute-force"), s = solve(p, solver);
  check_consistent(p, s);
  if (truth.status == Solution::kInfeasible) {
    EXPECT_FALSE(s.found());
    return;
  }
  EXPECT_NE(s.status, Solution::kInfeasible);
  EXPECT_LE(s.bound, truth.loss + tolerance(p));
  if (s.found()) {
    EXPECT_GE(s.loss, truth.loss - tolerance(p));
  }
  if (s.status == Solution::kOptimal) {
    EXPECT_NEAR(s.loss, truth.loss, tolerance(p));
  }
}

class EverySolver : public testing::TestWithParam<int> {};  // number of limits

TEST_P(EverySolver, AgreesWithBruteForceOnSmallProblems) {
  for (uint64_t seed = 0; seed < 400; ++seed) {
    const Shape shape{.groups = 1 + static_cast<int>(seed % 6),
                      .choices = 1 + static_cast<int>(seed % 5),
                      .limits = GetParam()};
    const Problem p = test::random_problem(seed * 31 + GetParam(), shape);
    for (const SolverDef* def : all_solvers()) {
      if (def->max_limits >= 0 && GetParam() > def->max_limits) continue;
      SCOPED_TRACE(cat(def->name, ", seed ", seed));
      check_against_brute_force(p, def->name);
    }
    if (HasFailure()) return;
  }
}

TEST_P(EverySolver, ProvesTheOptimumOfSmallProblemsByDefault) {
  for (uint64_t seed = 0; seed < 400; ++seed) {
    const Problem p =
        test::random_problem(seed * 17 + 5, {.groups = 6, .choices = 4, .limits = GetParam()});
    const Solution truth = solve(p, "brute-force"), s = solve(p);
    ASSERT_EQ(s.status, truth.status) << "seed " << seed;
    if (truth.found()) {
      ASSERT_NEAR(s.loss, truth.loss, tolerance(p)) << "seed " << seed;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Search, EverySolver, testing::Values(0, 1, 2, 3));

TEST(Search, GivesTheSameAnswerTwice) {
  const Problem p = test::network_problem(3, 20, 3);
  for (const char* solver : {"amp", "lagrange", "branch-and-bound:work=1"}) {
    const Solution a = solve(p, solver), b = solve(p, solver);
    EXPECT_EQ(a.choice, b.choice) << solver;
    EXPECT_EQ(a.bound, b.bound) << solver;
  }
}

TEST(Search, ProvesNetworksUnderOneLimit) {
  for (uint64_t seed = 0; seed < 10; ++seed) {
    const Problem p = test::network_problem(seed, 60, 1);
    const Solution dp = solve(p);
    check_consistent(p, dp);
    EXPECT_EQ(dp.solver, "dp");
    EXPECT_EQ(dp.status, Solution::kOptimal);
    const Solution tree = solve(p, "branch-and-bound");
    check_consistent(p, tree);
    EXPECT_LE(tree.bound, dp.loss * (1 + 1e-11));
    EXPECT_GE(tree.loss, dp.loss * (1 - 1e-11));
    const Solution prices = solve(p, "lagrange"), greedy = solve(p, "amp");
    EXPECT_LE(prices.bound, dp.loss);
    EXPECT_LE(prices.gap, 0.05);
    EXPECT_LE(dp.loss, greedy.loss);
  }
}

TEST(Search, IsWithinTwoPercentUnderThreeLimits) {
  for (uint64_t seed = 0; seed < 10; ++seed) {
    const Problem p = test::network_problem(seed, 60, 3);
    const Solution s = solve(p), prices = solve(p, "lagrange");
    check_consistent(p, s);
    check_consistent(p, prices);
    EXPECT_EQ(s.solver, "branch-and-bound");
    EXPECT_LE(s.gap, 0.02);
    EXPECT_LE(prices.bound, s.loss);
    EXPECT_LE(s.loss, prices.loss);
  }
}

TEST(Search, SolvesThousandsOfFilters) {
  const Problem p = test::filter_problem(1, 20000, 5);
  const Solution prices = solve(p, "lagrange"), exact = solve(p, "dp");
  check_consistent(p, prices);
  check_consistent(p, exact);
  EXPECT_LE(prices.gap, 1e-5);
  EXPECT_LE(exact.gap, 1e-7);
  EXPECT_LE(exact.loss, prices.loss);
}

TEST(Search, KeepsIdenticalGroupsTractable) {
  Problem p{.loss = std::vector<std::vector<double>>(5000, {1.0, 0.25, 0.0625}),
            .cost = {std::vector<std::vector<int64_t>>(5000, {2, 3, 4})},
            .limit = {5000 * 3 + 1}};
  const Solution s = solve(p);
  EXPECT_EQ(s.status, Solution::kOptimal);
  EXPECT_NEAR(s.loss, 5000 * 0.25 - 0.1875, 1e-9);
}

TEST(Search, ReportsTheGapWhenTheWorkLimitEnds) {
  const Problem p = test::network_problem(2, 60, 3);
  const Solution little = solve(p, "branch-and-bound:work=0"), enough = solve(p);
  check_consistent(p, little);
  EXPECT_EQ(little.status, Solution::kFeasible);
  EXPECT_GT(little.gap, 0);
  EXPECT_LE(little.bound, enough.loss);
  const Problem one = test::network_problem(2, 60, 1);
  const Solution few = solve(one, "dp:states=1"), exact = solve(one);
  check_consistent(one, few);
  EXPECT_LE(few.bound, exact.loss);
  EXPECT_GE(few.loss, exact.loss);
}

TEST(Search, UsesCostsBeyondDoublePrecision) {
  // The two costs differ by one part in 2^55: only integers tell them apart.
  const int64_t big = int64_t{1} << 55;
  Problem p{.loss = {{1, 0}, {1, 0.5}},
            .cost = {{{big, big + 1}, {big + 1, big + 2}}},
            .limit = {2 * big + 2}};
  EXPECT_EQ(solve(p, "dp").choice, (std::vector<int>{1, 0}));
  p.limit[0] -= 1;
  EXPECT_EQ(solve(p, "dp").choice, (std::vector<int>{0, 0}));
  p.limit[0] -= 1;
  EXPECT_EQ(solve(p, "dp").status, Solution::kInfeasible);
}

}  // namespace
}  // namespace qtool
