#include "search/labels.hpp"

#include <gtest/gtest.h>

#include "problems.hpp"
#include "search/start.hpp"

namespace qtool::search {
namespace {

// Losses as in the Table, which are shifted.
double truth(const Problem& p, const Table& t) {
  return solve(p, "brute-force").loss - t.loss_offset;
}

TEST(Labels, FindTheBestAssignmentOfSmallProblems) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    const Problem p = test::random_problem(seed, {.groups = 6, .choices = 4, .limits = 2});
    const auto table = reduce(p);
    if (!table || table->limits == 0) continue;
    const std::vector<double> free(static_cast<size_t>(table->limits), 0.0);
    const double above = 2 * table->loss_ceiling + 1;
    const Labelled all = search_labels(*table, free, above, 1'000'000);
    const bool feasible = solve(p, "brute-force").found();
    ASSERT_EQ(all.best.has_value(), feasible) << seed;
    if (!feasible) {
      EXPECT_EQ(all.bound, above);
      continue;
    }
    EXPECT_TRUE(fits(*table, all.best->cost));
    EXPECT_NEAR(all.best->loss, truth(p, *table), 1e-9) << seed;
    EXPECT_EQ(all.bound, all.best->loss);
  }
}

TEST(Labels, BoundWhatTheyDrop) {
  int dropped = 0;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    const Problem p = test::random_problem(seed, {.groups = 6, .choices = 4, .limits = 3});
    const auto table = reduce(p);
    if (!table || table->limits == 0 || !solve(p, "brute-force").found()) continue;
    const Start start = make_start(*table, 10);
    const double above = 2 * table->loss_ceiling + 1;
    const Labelled few = search_labels(*table, start.dual.price, above, 1);
    EXPECT_LE(few.bound, truth(p, *table) + 1e-9) << seed;
    dropped += !few.best || few.bound < few.best->loss;
  }
  EXPECT_GT(dropped, 20);
}

// Few groups, single choices of which are a large part of a limit: prices alone leave several percent open.
TEST(Labels, ProveNetworksOfFewLayersUnderSeveralLimits) {
  for (int limits : {2, 3}) {
    for (uint64_t seed = 0; seed < 20; ++seed) {
      const Solution s = solve(test::network_problem(seed, 20, limits));
      EXPECT_LE(s.gap, 1e-9) << limits << " " << seed;
    }
  }
}

}  // namespace
}  // namespace qtool::search
