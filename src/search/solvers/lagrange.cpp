// lagrange: best prices for the limits (a proven bound), then an assignment within the limits by
// repair, filling and local search. Near-optimal for thousands of groups in milliseconds.
#include "search/solvers/records.hpp"
#include "search/start.hpp"

namespace qtool::search {
namespace {

Solution solve_lagrange(const Problem& problem, const SolverOptions& options) {
  const std::optional<Table> table = reduce(problem);
  if (!table) return without_choice(problem, Solution::kInfeasible);
  const Start start = make_start(*table, static_cast<int>(options.at("rounds")));
  return finish(problem, *table, start);
}

}  // namespace

const SolverDef kLagrange{
    .name = "lagrange",
    .summary = "prices for the limits, repair and local search; fast for thousands of groups",
    .options = {{"rounds", 100, 0, 1'000'000, "most flips and pairs of flips in the local search"}},
    .max_limits = -1,
    .solve = solve_lagrange,
};

}  // namespace qtool::search
