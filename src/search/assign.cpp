#include "qtool/assign.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "qtool/memory.hpp"
#include "search/problem_builder.hpp"
#include "search/table.hpp"

namespace qtool {
namespace {

[[noreturn]] void throw_infeasible(const search::ProblemBuilder& builder,
                                   const Solution& solution) {
  if (solution.blocked_group >= 0) {
    throw Error(ErrorKind::kInfeasible, "QT-E501",
                cat("the device allows none of the candidate widths of '",
                    printable(builder.name_of(solution.blocked_group)), "'"))
        .hint("give others with --weights and --activations, or --keep it in float");
  }
  // The limits that are missed most, at most three of them.
  std::vector<std::pair<double, size_t>> missed;
  for (size_t k = 0; k < solution.smallest.size(); ++k) {
    const auto limit = static_cast<double>(builder.problem().limit[k]);
    const double share = limit > 0 ? static_cast<double>(solution.smallest[k]) / limit
                                   : std::numeric_limits<double>::infinity();
    missed.emplace_back(-share, k);
  }
  std::stable_sort(missed.begin(), missed.end());
  std::string reached;
  for (size_t i = 0; i < std::min<size_t>(missed.size(), 3); ++i) {
    const auto [share, k] = missed[i];
    reached += cat(i ? "; " : "", builder.limit_names()[k], ": the smallest possible is ",
                   std::isfinite(share) ? fixed(-100 * share, 1) + " % of it" : "above it");
  }
  throw Error(ErrorKind::kInfeasible, "QT-E501", cat("no plan meets the budget (", reached, ")"))
      .hint("raise the budget, or allow narrower widths with --weights and --activations");
}

}  // namespace

Assignment assign(const Model& model, const Sites& sites, const ScoreTable& scores,
                  const AssignOptions& options) {
  search::ProblemBuilder builder(model, sites, scores, options);
  Solution solution = solve(builder.problem(), options.solver);
  Assignment result;
  double bound = solution.bound;  // sums store no more than the plans they stand for
  bool exact = true;
  if (solution.found() && builder.shares_containers()) {
    exact = false;
    const search::Containers containers = search::containers_of(model, sites, scores, options);
    if (options.price_exponent == 1) bound = std::max(bound, containers.bound);
    builder.hold_in(containers.bits);
    solution = solve(builder.problem(), options.solver);
  }
  while (true) {
    if (!solution.found()) throw_infeasible(builder, solution);
    result.plan = builder.plan(solution.choice);
    result.cost = plan_cost(result.plan, sites, model, options.storage);
    if (!builder.tighten(result.cost)) break;
    exact = false;
    solution = solve(builder.problem(), options.solver);
  }
  if (!exact) search::set_bound(solution, bound);
  result.plan.model_fingerprint = scores.model_fingerprint;
  result.loss = options.price_exponent == 1 ? solution.loss : builder.loss(solution.choice);
  result.bound = solution.bound;
  result.gap = solution.gap;
  const auto latency = std::find_if(options.limits.begin(), options.limits.end(),
                                    [](const Limit& l) { return !l.profile.empty(); });
  if (latency != options.limits.end())
    result.latency_ms = predicted_latency_ms(result.plan, sites, load_profile(latency->profile));
  else if (options.profile && !options.profile->costs.empty())
    result.latency_ms = predicted_latency_ms(result.plan, sites, *options.profile);
  result.peak_bytes = peak_activation_bytes(live_sets(model, sites), result.plan);
  result.status = solution.status == Solution::kOptimal ? "optimal" : "feasible";
  result.solver = solution.solver;
  return result;
}

double predicted_loss(const QuantPlan& plan, const Sites& sites, const ScoreTable& scores) {
  double loss = 0;
  const auto price = [](const std::vector<Width>& widths, const std::vector<double>& noise,
                        const Width& width) {
    const auto at = std::ranges::find(widths, width);
    return at == widths.end() ? 0.0 : noise[static_cast<size_t>(at - widths.begin())];
  };
  for (const GroupScore& group : scores.groups) {
    if (group.kind == GroupKind::kActivation) {
      const auto at = plan.activation_bits.find(group.name);
      if (at == plan.activation_bits.end()) continue;
      Width width = at->second;
      for (const LayerSite& site : sites.layers) {
        const LayerChoice* layer = plan.layer(site.name);
        const ActivationSite* input = sites.activation(site.input);
        if (layer && layer->dynamic() && input && input->owner() == group.name)
          width = {layer->activation_bits, "uniform", layer->mode};
      }
      loss += price(group.widths, group.noise, width);
      continue;
    }
    const LayerChoice* layer = plan.layer(group.name);
    if (!layer || !layer->reason.empty()) continue;  // kept: not the search's choice
    if (layer->filter_bits.empty())
      loss += price(group.widths, group.noise, {layer->weight_bits, layer->format});
    for (size_t f = 0; f < layer->filter_bits.size(); ++f)
      loss += price(group.widths, group.filter_noise[f], layer->filter_bits[f]);
  }
  return loss;
}

std::vector<std::pair<QuantPlan, double>> random_plans(const Model& model, const Sites& sites,
                                                       const ScoreTable& scores,
                                                       const AssignOptions& options, int64_t count,
                                                       uint64_t seed) {
  AssignOptions unlimited = options;
  unlimited.limits.clear();
  const search::ProblemBuilder builder(model, sites, scores, unlimited);
  const Problem& problem = builder.problem();
  Rng rng(seed);
  std::vector<std::pair<QuantPlan, double>> plans;
  for (int64_t i = 0; i < count; ++i) {
    // Cheap and dear plans alike: each draws from its own range of widths.
    const double low = 0.7 * rng.uniform(), high = low + (1 - low) * rng.uniform();
    std::vector<int> choice;
    double predicted = 0;
    for (const auto& losses : problem.loss) {
      const double at = low + (high - low) * rng.uniform();
      auto c = static_cast<size_t>(at * static_cast<double>(losses.size()));
      while (c + 1 < losses.size() && !std::isfinite(losses[c])) ++c;
      while (c > 0 && !std::isfinite(losses[c])) --c;
      choice.push_back(static_cast<int>(c));
      predicted += losses[c];
    }
    plans.emplace_back(builder.plan(choice), predicted);
  }
  return plans;
}

}  // namespace qtool
