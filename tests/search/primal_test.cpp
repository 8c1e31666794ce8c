#include "search/primal.hpp"

#include <gtest/gtest.h>

#include "search/dual.hpp"
#include "search/problems.hpp"
#include "search/start.hpp"

namespace qtool::search {
namespace {

Table table_of(const Problem& p) { return *reduce(p); }

TEST(SearchPrimal, RepairBringsCostsWithinTheLimits) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const Table t = table_of(test::network_problem(seed, 40, 3));
    const std::vector<double> price = solve_dual(t, [](const Assignment&) {}).price;
    std::vector<int> last;  // the dearest items
    for (int g = 0; g < t.groups; ++g) last.push_back(t.begin[g + 1] - 1);
    Assignment a = make_assignment(t, last);
    EXPECT_FALSE(fits(t, a.cost));
    EXPECT_TRUE(repair(t, price, a));
    EXPECT_TRUE(fits(t, a.cost));
  }
}

TEST(SearchPrimal, RepairSaysWhenItIsStuck) {
  // The sums of the two costs are 3 + 15, 7 + 11, 11 + 7 or 15 + 3.
  const std::vector<std::vector<int64_t>> up(3, {1, 5}), down(3, {5, 1});
  const Table t = table_of({.loss = {{0, 0}, {0, 0}, {0, 0}}, .cost = {up, down}, .limit = {9, 9}});
  ASSERT_EQ(t.items(), 6);
  Assignment a = make_assignment(t, {0, 2, 4});
  EXPECT_FALSE(repair(t, {1, 1}, a));
}

TEST(SearchPrimal, FillSpendsWhatIsLeft) {
  const Table t = table_of(
      {.loss = {{3, 0}, {5, 0}, {4, 0}}, .cost = {{{0, 1}, {0, 1}, {0, 1}}}, .limit = {2}});
  Assignment a = make_assignment(t, {0, 2, 4});
  fill(t, {1}, a);
  EXPECT_EQ(a.item, (std::vector<int>{0, 3, 5}));
}

TEST(SearchPrimal, ImproveFindsPairs) {
  // Giving up the first flip makes room for the second, which is worth more.
  const Table t = table_of({.loss = {{3, 0}, {5, 0}}, .cost = {{{0, 2}, {0, 3}}}, .limit = {4}});
  Assignment a = make_assignment(t, {1, 2});
  improve(t, {1}, 0, a);
  EXPECT_EQ(a.item, (std::vector<int>{1, 2}));
  improve(t, {1}, 10, a);
  EXPECT_EQ(a.item, (std::vector<int>{0, 3}));
}

TEST(SearchPrimal, ImproveNeverMakesItWorse) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const Table t = table_of(test::network_problem(seed, 40, 2));
    const Start start = make_start(t, 0);
    ASSERT_TRUE(start.best);
    Assignment a = *start.best;
    improve(t, start.dual.price, 50, a);
    EXPECT_LE(a.loss, start.best->loss);
    EXPECT_TRUE(fits(t, a.cost));
  }
}

TEST(SearchPrimal, StartLiesBetweenBoundAndCeiling) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const Table t = table_of(test::network_problem(seed, 40, 3));
    const Start start = make_start(t, 20);
    ASSERT_TRUE(start.best);
    EXPECT_TRUE(fits(t, start.best->cost));
    EXPECT_LE(start.dual.bound, start.best->loss);
    EXPECT_LE(start.best->loss, t.loss_ceiling);
  }
}

}  // namespace
}  // namespace qtool::search
