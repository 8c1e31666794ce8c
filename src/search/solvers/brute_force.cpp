// brute-force: tries every assignment. The specification of all other solvers, so it works on the
// Problem as it stands and shares no code with them beyond the wording of the result.
#include <limits>

#include "search/solvers/records.hpp"
#include "search/table.hpp"

namespace qtool::search {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

bool holds_limits(const Problem& p, const std::vector<int>& choice) {
  for (size_t k = 0; k < p.limit.size(); ++k) {
    int64_t total = 0;
    for (size_t g = 0; g < choice.size(); ++g) total += p.cost[k][g][choice[g]];
    if (total > p.limit[k]) return false;
  }
  return true;
}

// The next assignment in lexicographic order; false after the last.
bool advance(const Problem& p, std::vector<int>& choice) {
  for (size_t g = choice.size(); g-- > 0;) {
    if (++choice[g] < static_cast<int>(p.loss[g].size())) return true;
    choice[g] = 0;
  }
  return false;
}

Solution solve_brute_force(const Problem& p, const SolverOptions& options) {
  check_problem(p);
  const int64_t most = options.at("assignments");
  double count = 1;
  for (const std::vector<double>& group : p.loss) count *= static_cast<double>(group.size());
  if (count > static_cast<double>(most)) {
    throw_usage("QT-E124", cat("solver 'brute-force' tries at most ", most,
                               " assignments, this problem has ", count));
  }
  Solution best = without_choice(p, Solution::kInfeasible);
  if (best.blocked_group >= 0) return best;
  std::vector<int> choice(p.loss.size(), 0);
  do {
    double loss = 0;
    for (size_t g = 0; g < choice.size(); ++g) loss += p.loss[g][choice[g]];
    for (size_t g = 0; g < choice.size(); ++g) {
      if (!permitted(p.loss[g][choice[g]])) loss = kInfinity;
    }
    if (loss < best.loss && holds_limits(p, choice)) best = describe(p, choice);
  } while (advance(p, choice));
  if (best.found()) {
    best.status = Solution::kOptimal;
    set_bound(best, best.loss);
  }
  return best;
}

}  // namespace

const SolverDef kBruteForce{
    .name = "brute-force",
    .summary = "tries every assignment; small problems only",
    .options = {{"assignments", 10'000'000, 1, int64_t{1} << 40, "most assignments to try"}},
    .max_limits = -1,
    .solve = solve_brute_force,
};

}  // namespace qtool::search
