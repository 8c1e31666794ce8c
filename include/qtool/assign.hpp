// Search layer, second half (layer search): from prices and limits to a plan. The solvers behind it are search.hpp's.
//
//   Assignment a = assign(prepared, sites, scores, {.limits = parse_budget("4.5bits")});
//   save_plan(a.plan, ".qtool/plan.json");
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "qtool/budget.hpp"
#include "qtool/plan.hpp"
#include "qtool/profile.hpp"
#include "qtool/score.hpp"
#include "qtool/search.hpp"

namespace qtool {

struct AssignOptions {
  std::vector<Limit> limits;
  std::vector<Keep> keep;
  int activation_bits = 8;  // of activations that are not searched
  std::string solver = "auto";
  bool per_filter = false;             // every output channel its own width
  Storage storage = Storage::kWidths;  // that sizes are counted in
  std::string method = "rtn";          // weight optimiser written into the plan
  std::string source;                  // for the plan: "search 4.5bits"
  ActivationStyle style = {};
  // Measured share of answers that a plan keeps, 0 to 1; for solvers that look.
  std::function<double(const QuantPlan&)> quality = {};
  // Widths that the device does not allow are no choices.
  std::optional<DeviceProfile> profile = {};
  double price_exponent =
      1;  // prices are raised to this power first: other plans from the same scores
};

struct Assignment {
  QuantPlan plan;
  PlanCost cost;
  double loss = 0;  // predicted: relative noise power at the outputs, summed over groups
  // No plan within the limits has less than `bound`; the one with the least loss that was found is that close to it.
  double bound = 0, gap = 0;
  std::string status, solver;  // of that plan: "optimal" or "feasible"
  // By how much of the least loss found this plan has more, which a measurement preferred.
  double above_least = 0;
  // Predicted by the profile of a latency limit, or the given one.
  std::optional<double> latency_ms = {};
  int64_t peak_bytes = 0;  // of activations; 0 where shapes are not known
};

// What each cost buys, least cost first.
struct Frontier {
  struct Point {
    PlanCost cost;
    double loss = 0;
    std::optional<double> latency_ms = {};  // where that is the cost
  };
  Limit::Kind cost = Limit::kBits;
  std::vector<Point> points;
};

// Throws Error{kInfeasible, QT-E501} that names the smallest reachable value of a limit, and
// Error{kUsage, QT-E125} for limits that this search does not price.
Assignment assign(const Model& model, const Sites& sites, const ScoreTable& scores,
                  const AssignOptions& options);

// The frontier of the first limit's cost against loss, at most so many points, both ends among them: every
// point is the best plan for what it costs. Other limits, and the first one's own value, are left aside;
// without one that is a sum the cost is the mean width of weights.
Frontier frontier(const Model& model, const Sites& sites, const ScoreTable& scores,
                  const AssignOptions& options, int64_t points);

// Milliseconds a sample that a profile predicts for a plan. Throws Error{kUsage, QT-E118} for a layer that it
// does not price, or when it was measured on another model.
double predicted_latency_ms(const QuantPlan& plan, const Sites& sites,
                            const DeviceProfile& profile);

// What is made real in front of a layer that computes in float among codes, and codes behind it.
int64_t converted_elements(const LayerSite& site, const Sites& sites);

// What the scores predict of a plan of theirs: the sum of its choices' prices.
double predicted_loss(const QuantPlan& plan, const Sites& sites, const ScoreTable& scores);

// Seeded plans with random widths among the scores' candidates, kept layers as kept; with what the scores
// predict of each.
std::vector<std::pair<QuantPlan, double>> random_plans(const Model& model, const Sites& sites,
                                                       const ScoreTable& scores,
                                                       const AssignOptions& options, int64_t count,
                                                       uint64_t seed);

// Predicted against measured noise of several plans.
struct Verification {
  int64_t plans = 0, samples = 0;
  double spearman = 0;      // rank correlation
  double pearson_log = 0;   // correlation of logarithms
  double median_ratio = 0;  // measured / predicted
};
// One number of each a plan, at least one plan; `samples` is left to whoever measured.
Verification compare_noise(const std::vector<double>& predicted,
                           const std::vector<double>& measured);

// How much less noise the second of two plans makes on the same samples, in standard errors of the mean difference; 0
// for fewer than two samples, infinite where all differ alike.
double paired_gain(const std::vector<double>& first, const std::vector<double>& second);

// Prices that hold around a plan of the scores: one group at a time moves to the candidates next to its choice in the
// order of their prices, everything else staying as the plan has it, and `noise` measures that plan. A layer's filters
// move together, and their prices' differences are multiplied by what that gives. Candidates further away are forbidden.
ScoreTable prices_around(const QuantPlan& plan, const Sites& sites, const ScoreTable& scores,
                         const std::function<double(const QuantPlan&)>& noise);

// What pricing again around a plan led to.
struct Rescoring {
  double measured_over_predicted = 0;  // noise of the first plan, quantized
  double sqnr_before_db = 0;
  int64_t rounds = 0, kept = 0;  // plans tried and taken; 0: prices hold, or lead back
};

}  // namespace qtool
