#include <gtest/gtest.h>

#include "search/problems.hpp"

namespace qtool {
namespace {

// A random problem with error vectors; a choice's loss is its vector's square and a little more.
Problem interacting(uint64_t seed, int groups, int choices) {
  Problem p = test::random_problem(
      seed, {.groups = groups, .choices = choices, .limits = 1 + static_cast<int>(seed % 2)});
  Rng rng(seed + 1000);
  for (auto& group : p.loss) {
    p.error.emplace_back();
    for (double& loss : group) {
      std::vector<float> e;
      double square = 0;
      const double size = std::isfinite(loss) ? std::sqrt(std::abs(loss) / 6) : 0;
      for (int d = 0; d < 6; ++d) {
        e.push_back(static_cast<float>(size * rng.normal()));
        square += double{e.back()} * e.back();
      }
      if (std::isfinite(loss)) loss = square + 0.05 * rng.uniform();
      p.error.back().push_back(std::move(e));
    }
  }
  return p;
}

double interacting_loss(const Problem& p, const std::vector<int>& choice) {
  std::vector<double> sum(6, 0);
  double loss = 0;
  for (size_t g = 0; g < choice.size(); ++g) {
    const auto c = static_cast<size_t>(choice[g]);
    loss += p.loss[g][c];
    for (size_t d = 0; d < 6; ++d) {
      sum[d] += p.error[g][c][d];
      loss -= double{p.error[g][c][d]} * p.error[g][c][d];
    }
  }
  for (double v : sum) loss += v * v;
  return loss;
}

// The least by trying everything; +infinity when nothing holds the limits.
double least(const Problem& p) {
  std::vector<int> choice(p.loss.size(), 0);
  double best = test::kInf;
  for (;;) {
    bool fits = true;
    for (size_t k = 0; k < p.limit.size(); ++k) {
      int64_t cost = 0;
      for (size_t g = 0; g < choice.size(); ++g)
        cost += p.cost[k][g][static_cast<size_t>(choice[g])];
      fits = fits && cost <= p.limit[k];
    }
    const double loss = interacting_loss(p, choice);
    if (fits && std::isfinite(loss)) best = std::min(best, loss);
    size_t g = choice.size();
    while (g > 0 && ++choice[g - 1] == static_cast<int>(p.loss[g - 1].size())) choice[--g] = 0;
    if (g == 0) return best;
  }
}

TEST(Quadratic, IsAtOrNearTheLeastOfSmallProblemsAndNeverBelowItsBound) {
  int found = 0, exact = 0;
  for (uint64_t seed = 0; seed < 150; ++seed) {
    SCOPED_TRACE(cat("seed ", seed));
    const Problem p = interacting(seed * 13 + 1, 5, 4);
    const Solution s = solve(p, "quadratic");
    const double truth = least(p);
    if (truth == test::kInf) {
      EXPECT_FALSE(s.found());
      continue;
    }
    if (!s.found()) continue;
    ++found;
    EXPECT_NEAR(s.loss, interacting_loss(p, s.choice), 1e-9);
    EXPECT_GE(s.loss, truth - 1e-9);
    EXPECT_LE(s.bound, truth + 1e-9);
    for (size_t k = 0; k < p.limit.size(); ++k) EXPECT_LE(s.cost[k], p.limit[k]);
    exact += s.loss <= truth + 1e-9;
  }
  EXPECT_GE(found, 80);
  EXPECT_GE(exact, found * 9 / 10);
}

TEST(Quadratic, ErrorsThatCancelAreWorthMore) {
  // Alone the second choice of each is worse; together they cancel.
  const Problem p{.loss = {{1, 4}, {1, 4}},
                  .cost = {{{1, 1}, {1, 1}}},
                  .limit = {2},
                  .error = {{{1, 0}, {0, 2}}, {{1, 0}, {0, -2}}}};
  EXPECT_EQ(solve(p, "dp").choice, (std::vector<int>{0, 0}));
  const Solution s = solve(p, "quadratic");
  EXPECT_EQ(s.choice, (std::vector<int>{1, 1}));
  EXPECT_NEAR(s.loss, 0, 1e-12);
}

}  // namespace
}  // namespace qtool
