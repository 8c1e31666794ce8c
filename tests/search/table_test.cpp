#include "search/table.hpp"

#include <gtest/gtest.h>

namespace qtool::search {
namespace {

TEST(SearchTable, ShiftsDividesAndSorts) {
  const Problem p{.loss = {{1, 4}, {2, 2.5}}, .cost = {{{22, 10}, {18, 6}}}, .limit = {35}};
  const std::optional<Table> t = reduce(p);
  ASSERT_TRUE(t);
  EXPECT_EQ(t->begin, (std::vector<int>{0, 2, 4}));
  EXPECT_EQ(t->choice, (std::vector<int>{1, 0, 1, 0}));
  EXPECT_EQ(t->loss, (std::vector<double>{3, 0, 0.5, 0}));
  EXPECT_EQ(t->cost, (std::vector<int64_t>{0, 1, 0, 1}));
  EXPECT_EQ(t->limit, (std::vector<int64_t>{1}));  // (35 − 16) / 12
  EXPECT_EQ(t->loss_offset, 3);
  EXPECT_EQ(t->loss_ceiling, 3.5);
}

TEST(SearchTable, DropsLimitsThatCannotBind) {
  const Problem p{.loss = {{1, 4}}, .cost = {{{5, 1}}, {{5, 1}}}, .limit = {5, 4}};
  const std::optional<Table> t = reduce(p);
  ASSERT_TRUE(t);
  EXPECT_EQ(t->limits, 1);
}

TEST(SearchTable, DropsDominatedForbiddenAndUnreachableChoices) {
  const Problem p{.loss = {{1, 1, 2, 0, 0.5, 1e300}, {0, 9}},
                  .cost = {{{3, 2, 4, 90, 5, 0}, {10, 1}}},
                  .limit = {20}};
  const std::optional<Table> t = reduce(p);
  ASSERT_TRUE(t);
  EXPECT_EQ(t->choice, (std::vector<int>{1, 4, 1, 0}));
}

TEST(SearchTable, IsAbsentWhenOneLimitAloneCannotHold) {
  EXPECT_FALSE(reduce({.loss = {{1, 1}}, .cost = {{{5, 6}}}, .limit = {4}}));
  EXPECT_FALSE(reduce({.loss = {{1, 1}}, .cost = {{{5, 0}}, {{0, 5}}}, .limit = {4, 4}}));
  EXPECT_TRUE(reduce({.loss = {{1, 1}}, .cost = {{{5, 6}}}, .limit = {5}}));
}

TEST(SearchTable, FlipKeepsTheTotals) {
  const Problem p{.loss = {{1, 4}, {2, 5}}, .cost = {{{4, 1}, {4, 1}}}, .limit = {6}};
  const std::optional<Table> t = reduce(p);
  Assignment a = make_assignment(*t, {0, 2});
  EXPECT_TRUE(fits(*t, a.cost));
  flip(*t, a, 0, 1);
  flip(*t, a, 1, 3);
  const Assignment b = make_assignment(*t, {1, 3});
  EXPECT_EQ(a.item, b.item);
  EXPECT_EQ(a.cost, b.cost);
  EXPECT_EQ(a.loss, b.loss);
  EXPECT_FALSE(fits(*t, a.cost));
}

TEST(SearchTable, FinishSpeaksInTheProblemsNumbers) {
  const Problem p{.loss = {{1, 4}, {2, 5}}, .cost = {{{40, 10}, {40, 10}}}, .limit = {60}};
  const std::optional<Table> t = reduce(p);
  const Solution s = finish(p, *t, make_assignment(*t, {0, 3}), 1.5);
  EXPECT_EQ(s.choice, (std::vector<int>{1, 0}));
  EXPECT_EQ(s.loss, 6);
  EXPECT_EQ(s.bound, 4.5);
  EXPECT_EQ(s.gap, 0.25);
  EXPECT_EQ(s.cost, (std::vector<int64_t>{50}));
  EXPECT_EQ(s.status, Solution::kFeasible);
  EXPECT_EQ(finish(p, *t, make_assignment(*t, {0, 3}), 3).status, Solution::kOptimal);
}

TEST(SearchTable, GapIsAgainstTheLargerMagnitude) {
  Solution s;
  s.loss = 0;
  set_bound(s, -2);
  EXPECT_EQ(s.gap, 1);
  set_bound(s, 3);  // a bound above the loss can only be rounding
  EXPECT_EQ(s.bound, 0);
  EXPECT_EQ(s.gap, 0);
}

}  // namespace
}  // namespace qtool::search
