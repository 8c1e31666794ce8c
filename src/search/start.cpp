#include "search/start.hpp"

#include "search/primal.hpp"

namespace qtool::search {

std::optional<Assignment> polish(const Table& t, const std::vector<double>& price, int rounds,
                                 Assignment a) {
  if (!repair(t, price, a)) return std::nullopt;
  fill(t, price, a);
  improve(t, price, rounds, a);
  return a;
}

Start make_start(const Table& t, int rounds) {
  Start start;
  std::optional<Assignment> met;
  start.dual = solve_dual(t, [&](const Assignment& a) {
    if (!met || a.loss < met->loss) met = a;
  });
  if (start.dual.excluded) return start;
  start.best = polish(t, start.dual.price, rounds, make_assignment(t, start.dual.item));
  if (met) met = polish(t, start.dual.price, rounds, std::move(*met));
  if (met && (!start.best || met->loss < start.best->loss)) start.best = std::move(met);
  return start;
}

Solution finish(const Problem& p, const Table& t, const Start& start) {
  if (start.best) return finish(p, t, *start.best, start.dual.bound);
  if (start.dual.excluded) return without_choice(p, Solution::kInfeasible);
  Solution s = without_choice(p, Solution::kUnknown);
  s.bound = t.loss_offset + start.dual.bound;
  return s;
}

}  // namespace qtool::search
