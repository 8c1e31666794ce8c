// Every budget answered at once: what each cost buys.
#include "search/problem_builder.hpp"

namespace qtool {

Frontier frontier(const Model& model, const Sites& sites, const ScoreTable& scores,
                  const AssignOptions& options, int64_t points) {
  AssignOptions first = options;
  std::erase_if(first.limits, [](const Limit& limit) {
    return is_quality_floor(limit) || limit.kind == Limit::kPeakMemory;
  });
  if (first.limits.empty()) first.limits.push_back({Limit::kBits, 32, ""});
  first.limits.resize(1);
  const search::ProblemBuilder builder(model, sites, scores, first);
  const Solution solution = solve(builder.problem(), cat("pareto:points=", points));
  Frontier found{.cost = first.limits[0].kind, .points = {}};
  for (const std::vector<int>& choice : solution.frontier) {
    const QuantPlan plan = builder.plan(choice);
    Frontier::Point point;
    point.cost = plan_cost(plan, sites, model, options.storage);
    for (size_t g = 0; g < choice.size(); ++g)
      point.loss += builder.problem().loss[g][static_cast<size_t>(choice[g])];
    if (!first.limits[0].profile.empty())
      point.latency_ms = predicted_latency_ms(plan, sites, load_profile(first.limits[0].profile));
    found.points.push_back(point);
  }
  return found;
}

}  // namespace qtool
