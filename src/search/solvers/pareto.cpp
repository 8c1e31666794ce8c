// pareto: the whole frontier of loss and cost of one limit in one walk. Each group's choices that lie on
// the lower convex hull of (cost, loss), and the steps between them in order of loss saved per cost (Fox
// 1966): after every step the assignment is optimal for what it costs, so that any budget is answered
// without solving again. The solution for the limit is the last assignment that holds it, filled up and
// improved as `lagrange` does.
#include <algorithm>

#include "search/solvers/records.hpp"
#include "search/start.hpp"

namespace qtool::search {
namespace {

struct Step {
  double slope;  // loss saved per cost
  int group;
  int item;
};

// Items of a group on its lower hull, ascending in cost; the table holds them sorted and undominated.
std::vector<int> hull(const Table& t, int group) {
  std::vector<int> kept;
  for (int i = t.begin[group]; i < t.begin[group + 1]; ++i) {
    const auto slope = [&](int a, int b) {
      return (t.loss[a] - t.loss[b]) / static_cast<double>(t.cost_of(b)[0] - t.cost_of(a)[0]);
    };
    while (kept.size() > 1 && slope(kept.back(), i) >= slope(kept[kept.size() - 2], kept.back()))
      kept.pop_back();
    kept.push_back(i);
  }
  return kept;
}

std::vector<int> choices_of(const Table& t, const std::vector<int>& item) {
  std::vector<int> choice;
  for (int i : item) choice.push_back(t.choice[i]);
  return choice;
}

// The steps of all groups, steepest first, from the cheapest items, which `item` receives.
std::vector<Step> walk(const Table& t, std::vector<int>& item) {
  std::vector<Step> steps;
  for (int g = 0; g < t.groups; ++g) {
    const std::vector<int> kept = hull(t, g);
    item.push_back(kept[0]);
    for (size_t i = 1; i < kept.size(); ++i) {
      const double saved = t.loss[kept[i - 1]] - t.loss[kept[i]];
      const auto paid = static_cast<double>(t.cost_of(kept[i])[0] - t.cost_of(kept[i - 1])[0]);
      steps.push_back({saved / paid, g, kept[i]});
    }
  }
  std::stable_sort(steps.begin(), steps.end(),
                   [](const Step& a, const Step& b) { return a.slope > b.slope; });
  return steps;
}

// The problem without its limits' effect: what the frontier is walked on.
Problem unlimited(const Problem& p) {
  Problem free = p;
  int64_t high = 0, low = 0;
  for (size_t g = 0; g < p.loss.size(); ++g) {
    int64_t most = 0, least = 0;
    bool any = false;
    for (size_t c = 0; c < p.loss[g].size(); ++c) {
      if (!permitted(p.loss[g][c])) continue;
      most = any ? std::max(most, p.cost[0][g][c]) : p.cost[0][g][c];
      least = any ? std::min(least, p.cost[0][g][c]) : p.cost[0][g][c];
      any = true;
    }
    high += most;
    low += least;
  }
  // One less than all can cost, so that the limit counts and no choice is beyond it by itself.
  free.limit[0] = std::max(low, high - 1);
  return free;
}

std::vector<std::vector<int>> frontier_of(const Problem& problem, int64_t points) {
  const std::optional<Table> table = reduce(unlimited(problem));
  if (!table || table->limits != 1) return {};
  std::vector<int> item;
  const std::vector<Step> steps = walk(*table, item);
  std::vector<std::vector<int>> frontier;
  const auto wanted = std::min<int64_t>(points, static_cast<int64_t>(steps.size()) + 1);
  size_t at = 0;
  // Evenly spaced along the walk, both ends among them.
  for (int64_t point = 0; point < wanted; ++point) {
    const size_t end =
        wanted > 1 ? static_cast<size_t>(point) * steps.size() / static_cast<size_t>(wanted - 1)
                   : 0;
    for (; at < end; ++at) item[static_cast<size_t>(steps[at].group)] = steps[at].item;
    frontier.push_back(choices_of(*table, item));
  }
  return frontier;
}

Solution solve_pareto(const Problem& problem, const SolverOptions& options) {
  Solution s;
  if (const std::optional<Table> table = reduce(problem)) {
    s = finish(problem, *table, make_start(*table, static_cast<int>(options.at("rounds"))));
  } else {
    s = without_choice(problem, Solution::kInfeasible);
  }
  if (!problem.limit.empty()) s.frontier = frontier_of(problem, options.at("points"));
  return s;
}

}  // namespace

const SolverDef kPareto{
    .name = "pareto",
    .summary = "the whole frontier of loss and cost in one walk; one limit",
    .options = {{"points", 33, 2, 100'000, "most points of the frontier to tell"},
                {"rounds", 100, 0, 1'000'000, "most flips in the local search at the limit"}},
    .max_limits = 1,
    .solve = solve_pareto,
};

}  // namespace qtool::search
