// Cross-check with a mixed-integer solver; compiled where GLPK was found.
#ifdef QTOOL_HAVE_GLPK
#include <glpk.h>
#include <gtest/gtest.h>

#include "search/problems.hpp"

namespace qtool {
namespace {

// The optimum by glp_intopt; +infinity when there is none.
double glpk_optimum(const Problem& p) {
  glp_prob* mip = glp_create_prob();
  glp_set_obj_dir(mip, GLP_MIN);
  glp_add_rows(mip, static_cast<int>(p.loss.size() + p.limit.size()));
  std::vector<int> rows{0}, columns{0};
  std::vector<double> values{0};
  for (size_t k = 0; k < p.limit.size(); ++k) {
    glp_set_row_bnds(mip, static_cast<int>(p.loss.size() + k + 1), GLP_UP, 0,
                     static_cast<double>(p.limit[k]));
  }
  for (size_t g = 0; g < p.loss.size(); ++g) {
    glp_set_row_bnds(mip, static_cast<int>(g + 1), GLP_FX, 1, 1);
    for (size_t c = 0; c < p.loss[g].size(); ++c) {
      if (!std::isfinite(p.loss[g][c])) continue;
      const int column = glp_add_cols(mip, 1);
      glp_set_col_kind(mip, column, GLP_BV);
      glp_set_obj_coef(mip, column, p.loss[g][c]);
      auto entry = [&](size_t row, double value) {
        rows.push_back(static_cast<int>(row + 1));
        columns.push_back(column);
        values.push_back(value);
      };
      entry(g, 1);
      for (size_t k = 0; k < p.limit.size(); ++k)
        entry(p.loss.size() + k, static_cast<double>(p.cost[k][g][c]));
    }
  }
  glp_load_matrix(mip, static_cast<int>(rows.size()) - 1, rows.data(), columns.data(),
                  values.data());
  glp_iocp options;
  glp_init_iocp(&options);
  options.presolve = GLP_ON;
  options.msg_lev = GLP_MSG_OFF;
  options.mip_gap = 0;
  const int error = glp_intopt(mip, &options);
  const double optimum =
      error == 0 && glp_mip_status(mip) == GLP_OPT ? glp_mip_obj_val(mip) : test::kInf;
  glp_delete_prob(mip);
  return optimum;
}

class AgainstGlpk : public testing::TestWithParam<int> {};  // number of limits

TEST_P(AgainstGlpk, FindsTheSameOptimum) {
  int found = 0;
  for (uint64_t seed = 0; seed < 60; ++seed) {
    const Problem p =
        test::random_problem(seed * 7 + 1, {.groups = 14, .choices = 6, .limits = GetParam()});
    const Solution s = solve(p);
    const double truth = glpk_optimum(p);
    SCOPED_TRACE(cat("seed ", seed));
    ASSERT_TRUE(s.status == Solution::kOptimal || s.status == Solution::kInfeasible);
    if (truth == test::kInf) {
      EXPECT_FALSE(s.found());
    } else {
      ++found;
      EXPECT_NEAR(s.loss, truth, 1e-6 * (1 + std::abs(truth)));
    }
  }
  EXPECT_GE(found, 20);
}

INSTANTIATE_TEST_SUITE_P(Search, AgainstGlpk, testing::Values(1, 2, 3));

TEST(AgainstGlpk, FindsTheSameOptimumOfANetwork) {
  for (int limits : {1, 2, 3}) {
    const Problem p = test::network_problem(11, 24, limits);
    const Solution s = solve(p);
    ASSERT_EQ(s.status, Solution::kOptimal);
    EXPECT_NEAR(s.loss, glpk_optimum(p), 1e-6 * s.loss) << limits;
  }
}

}  // namespace
}  // namespace qtool
#endif
