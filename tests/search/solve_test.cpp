#include <gtest/gtest.h>

#include <cmath>

#include "search/problems.hpp"

namespace qtool {
namespace {

using test::kInf;

const std::vector<const char*> kOneLimit = {"amp", "branch-and-bound", "brute-force", "dp",
                                            "lagrange"};

std::string error_code(const Problem& p, std::string_view solver) {
  try {
    solve(p, solver);
  } catch (const Error& e) {
    return e.code();
  }
  return "";
}

TEST(Solve, ReadsAsTheHeaderSays) {
  const Problem p{.loss = {{0.0, 3.0}, {0.0, 1.0}}, .cost = {{{8, 4}, {8, 4}}}, .limit = {12}};
  const Solution s = solve(p);
  EXPECT_EQ(s.choice, (std::vector<int>{0, 1}));
  EXPECT_EQ(s.loss, 1);
  EXPECT_EQ(s.status, Solution::kOptimal);
  EXPECT_EQ(s.cost, (std::vector<int64_t>{12}));
  EXPECT_EQ(s.solver, "dp");
}

TEST(Solve, ListsSolversByName) {
  std::vector<std::string_view> names;
  for (const SolverDef* def : all_solvers()) {
    names.push_back(def->name);
    EXPECT_EQ(find_solver(def->name), def);
    EXPECT_FALSE(def->summary.empty());
    for (const SolverOption& o : def->options) {
      EXPECT_LE(o.min, o.default_value);
      EXPECT_LE(o.default_value, o.max);
      EXPECT_FALSE(o.help.empty());
    }
  }
  EXPECT_TRUE(std::is_sorted(names.begin(), names.end()));
  EXPECT_EQ(find_solver("simplex"), nullptr);
}

TEST(Solve, PicksTheSolverByTheLimitsThatBind) {
  Problem p = test::network_problem(1, 5, 2);
  EXPECT_EQ(solve(p).solver, "branch-and-bound");
  p.limit[1] = int64_t{1} << 60;
  EXPECT_EQ(solve(p).solver, "dp");
  EXPECT_EQ(solve(p, "dp").status, Solution::kOptimal);
}

TEST(Solve, RefusesWhatItDoesNotKnow) {
  const Problem p = test::network_problem(1, 5, 1);
  EXPECT_EQ(error_code(p, "simplex"), "QT-E120");
  EXPECT_EQ(error_code(p, ""), "QT-E120");
  EXPECT_EQ(error_code(p, "auto:states=1"), "QT-E120");
  EXPECT_EQ(error_code(p, "dp:state=5"), "QT-E121");
  EXPECT_EQ(error_code(p, "dp:"), "");
  EXPECT_EQ(error_code(p, "dp:states"), "QT-E122");
  EXPECT_EQ(error_code(p, "dp:states=0"), "QT-E122");
  EXPECT_EQ(error_code(p, "dp:states=1x"), "QT-E122");
  EXPECT_EQ(error_code(p, "dp:states=99999999999999999999"), "QT-E122");
  EXPECT_EQ(error_code(test::network_problem(1, 5, 3), "dp"), "QT-E123");
  EXPECT_EQ(error_code(test::network_problem(1, 60, 1), "brute-force"), "QT-E124");
  try {
    solve(p, "lagrage");
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::kUsage);
    EXPECT_NE(e.hint_text().find("lagrange"), std::string::npos);
  }
}

TEST(Solve, RefusesArraysThatDoNotFit) {
  EXPECT_EQ(error_code({.loss = {{1}}, .cost = {}, .limit = {1}}, "auto"), "QT-E900");
  EXPECT_EQ(error_code({.loss = {{1}}, .cost = {{}}, .limit = {1}}, "auto"), "QT-E900");
  EXPECT_EQ(error_code({.loss = {{1}}, .cost = {{{1, 2}}}, .limit = {1}}, "auto"), "QT-E900");
  EXPECT_EQ(error_code({.loss = {{-kInf}}, .cost = {{{1}}}, .limit = {1}}, "auto"), "QT-E900");
  const int64_t most = std::numeric_limits<int64_t>::max();
  const int64_t least = std::numeric_limits<int64_t>::min();
  EXPECT_EQ(error_code({.loss = {{1}}, .cost = {{{most}}}, .limit = {1}}, "auto"), "QT-E340");
  EXPECT_EQ(error_code({.loss = {{1}}, .cost = {{{1}}}, .limit = {least}}, "auto"), "QT-E340");
}

TEST(Solve, TakesProblemsWithoutGroupsOrLimits) {
  for (const char* solver : kOneLimit) {
    const Solution none = solve({}, solver);
    EXPECT_EQ(none.status, Solution::kOptimal) << solver;
    EXPECT_EQ(none.loss, 0);
    EXPECT_EQ(solve({.loss = {}, .cost = {{}}, .limit = {0}}, solver).status, Solution::kOptimal);
    const Solution below = solve({.loss = {}, .cost = {{}}, .limit = {-1}}, solver);
    EXPECT_EQ(below.status, Solution::kInfeasible) << solver;
    EXPECT_EQ(below.smallest, std::vector<int64_t>{0});
    const Solution free = solve({.loss = {{2, 1}, {0, 5}}, .cost = {}, .limit = {}}, solver);
    EXPECT_EQ(free.choice, (std::vector<int>{1, 0})) << solver;
    EXPECT_EQ(free.status, Solution::kOptimal) << solver;
  }
}

TEST(Solve, NeverTakesForbiddenChoices) {
  for (const char* solver : kOneLimit) {
    const Solution s = solve(
        {.loss = {{kInf, 5, std::nan("")}, {1}}, .cost = {{{1, 5, 0}, {1}}}, .limit = {6}}, solver);
    EXPECT_EQ(s.choice, (std::vector<int>{1, 0})) << solver;
    const Solution over =
        solve({.loss = {{kInf, 5}, {1}}, .cost = {{{1, 5}, {1}}}, .limit = {5}}, solver);
    EXPECT_EQ(over.status, Solution::kInfeasible) << solver;
    EXPECT_EQ(over.smallest, std::vector<int64_t>{6}) << solver;
  }
}

TEST(Solve, NamesAGroupWithoutPermittedChoice) {
  for (const char* solver : kOneLimit) {
    const Solution s =
        solve({.loss = {{1}, {kInf, kInf}}, .cost = {{{1}, {1, 1}}}, .limit = {9}}, solver);
    EXPECT_EQ(s.status, Solution::kInfeasible) << solver;
    EXPECT_EQ(s.blocked_group, 1) << solver;
    EXPECT_EQ(solve({.loss = {{}}, .cost = {{{}}}, .limit = {9}}, solver).blocked_group, 0);
  }
}

TEST(Solve, TakesNegativeCostsAndLimits) {
  for (const char* solver : kOneLimit) {
    const Problem p{.loss = {{0, 1}, {0, 1.5}}, .cost = {{{-1, -4}, {2, -3}}}, .limit = {-2}};
    const Solution s = solve(p, solver);
    EXPECT_LE(s.cost.at(0), -2) << solver;
    if (s.status == Solution::kOptimal) {
      EXPECT_EQ(s.loss, 1) << solver;
    }
    Problem tight = p;
    tight.limit = {-8};
    EXPECT_EQ(solve(tight, solver).status, Solution::kInfeasible) << solver;
    EXPECT_EQ(solve(tight, solver).smallest, std::vector<int64_t>{-7}) << solver;
  }
}

TEST(Solve, PrefersTheCheaperAndThenTheFirstOfEquals) {
  for (const char* solver : {"branch-and-bound", "dp", "lagrange", "amp"}) {
    const Solution s = solve(
        {.loss = {{1, 1, 1}, {0, 0, 0}}, .cost = {{{7, 3, 3}, {0, 0, 0}}}, .limit = {9}}, solver);
    EXPECT_EQ(s.choice, (std::vector<int>{1, 0})) << solver;
  }
}

TEST(Solve, SpendsTheLimitToTheLastUnit) {
  const Problem p{.loss = {{3, 0}, {3, 0}}, .cost = {{{1, 2}, {1, 2}}}, .limit = {3}};
  for (const char* solver : kOneLimit) EXPECT_EQ(solve(p, solver).cost.at(0), 3) << solver;
}

TEST(Solve, SaysTheSmallestValueOfEveryLimitTogether) {
  // Each limit alone can be 2; together the sums are 2 + 10, 6 + 6 or 10 + 2.
  const Problem p{
      .loss = {{0, 0}, {0, 0}}, .cost = {{{1, 5}, {1, 5}}, {{5, 1}, {5, 1}}}, .limit = {6, 5}};
  const Solution s = solve(p);
  EXPECT_EQ(s.status, Solution::kInfeasible);
  EXPECT_EQ(s.smallest, (std::vector<int64_t>{10, 6}));
  Problem alone = p;
  alone.limit = {1, 1};
  EXPECT_EQ(solve(alone).smallest, (std::vector<int64_t>{2, 2}));
}

TEST(Solve, ProvesThatLimitsExcludeEachOther) {
  // Every group's first cost plus second cost is 6, so the sums cannot both stay below 3 a group.
  for (int groups : {3, 8, 30}) {
    Problem p{.loss = {}, .cost = {{}, {}}, .limit = {3 * groups - 1, 3 * groups}};
    for (int g = 0; g < groups; ++g) {
      p.loss.push_back({1.0 * g, 2, 0.5});
      p.cost[0].push_back({1, 3, 5});
      p.cost[1].push_back({5, 3, 1});
    }
    EXPECT_EQ(solve(p).status, Solution::kInfeasible) << groups;
    EXPECT_NE(solve(p, "lagrange").status, Solution::kFeasible) << groups;
    p.limit[0] += 1;
    EXPECT_EQ(solve(p).status, Solution::kOptimal) << groups;
  }
}

}  // namespace
}  // namespace qtool
