// amp: the greedy of "A Practical Mixed Precision Algorithm for Post-Training Quantization"
// (arXiv 2302.05397, phase 2), a baseline. Every group starts at its least loss; flips to cheaper
// candidates are made in one fixed order until the limits hold. The paper orders by the
// candidate's own sensitivity; `ratio=1` orders by loss per relative saving instead.
#include <algorithm>

#include "search/dual.hpp"
#include "search/solvers/records.hpp"

namespace qtool::search {
namespace {

struct Flip {
  double rank;
  int group;
  int item;
};

double excess(const Table& t, const std::vector<int64_t>& cost) {
  double sum = 0;
  for (int k = 0; k < t.limits; ++k) {
    const double scale = static_cast<double>(std::max<int64_t>(t.limit[k], 1));
    sum += static_cast<double>(std::max<int64_t>(cost[k] - t.limit[k], 0)) / scale;
  }
  return sum;
}

double saving(const Table& t, int from, int to) {
  double sum = 0;
  for (int k = 0; k < t.limits; ++k) {
    const double scale = static_cast<double>(std::max<int64_t>(t.limit[k], 1));
    sum += static_cast<double>(t.cost_of(from)[k] - t.cost_of(to)[k]) / scale;
  }
  return sum;
}

std::vector<Flip> ordered_flips(const Table& t, const Assignment& start, bool by_ratio) {
  std::vector<Flip> flips;
  for (int g = 0; g < t.groups; ++g) {
    for (int i = t.begin[g]; i < t.begin[g + 1]; ++i) {
      const double saved = saving(t, start.item[g], i);
      if (i == start.item[g] || saved <= 0) continue;
      flips.push_back({by_ratio ? t.loss[i] / saved : t.loss[i], g, i});
    }
  }
  std::stable_sort(flips.begin(), flips.end(),
                   [](const Flip& a, const Flip& b) { return a.rank < b.rank; });
  return flips;
}

Solution solve_amp(const Problem& problem, const SolverOptions& options) {
  const std::optional<Table> table = reduce(problem);
  if (!table) return without_choice(problem, Solution::kInfeasible);
  const Table& t = *table;
  const std::vector<double> free(t.limits, 0.0);
  Assignment a = relax(t, all_items(t), free).assignment;
  for (const Flip& f : ordered_flips(t, a, options.at("ratio") != 0)) {
    if (fits(t, a.cost)) break;
    const double before = excess(t, a.cost);
    const int old = a.item[f.group];
    flip(t, a, f.group, f.item);
    if (excess(t, a.cost) >= before) flip(t, a, f.group, old);
  }
  const Dual dual = solve_dual(t, [](const Assignment&) {});
  if (dual.excluded) return without_choice(problem, Solution::kInfeasible);
  if (fits(t, a.cost)) return finish(problem, t, a, dual.bound);
  Solution s = without_choice(problem, Solution::kUnknown);
  s.bound = t.loss_offset + dual.bound;
  return s;
}

}  // namespace

const SolverDef kAmp{
    .name = "amp",
    .summary = "greedy flips in order of sensitivity as published (arXiv 2302.05397); a baseline",
    .options = {{"ratio", 0, 0, 1, "1: order flips by loss per saving, not by loss alone"}},
    .max_limits = -1,
    .solve = solve_amp,
};

}  // namespace qtool::search
