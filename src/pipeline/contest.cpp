#include "pipeline/contest.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace qtool::pipeline {
namespace {

constexpr double kExponents[] = {1, 0.8, 1.25};

bool same_widths(const QuantPlan& a, const QuantPlan& b) {
  if (a.activation_bits != b.activation_bits) return false;
  for (size_t i = 0; i < a.layers.size(); ++i) {
    if (a.layers[i].weight_bits != b.layers[i].weight_bits ||
        a.layers[i].format != b.layers[i].format ||
        a.layers[i].filter_bits != b.layers[i].filter_bits || a.layers[i].mode != b.layers[i].mode)
      return false;
  }
  return true;
}

// Places in ascending order; equal values share the mean of theirs.
std::vector<double> ranks(const std::vector<double>& values) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return values[a] < values[b]; });
  std::vector<double> rank(values.size());
  for (size_t i = 0; i < order.size();) {
    size_t end = i;
    while (end < order.size() && values[order[end]] == values[order[i]]) ++end;
    for (size_t k = i; k < end; ++k) rank[order[k]] = static_cast<double>(i + end - 1) / 2;
    i = end;
  }
  return rank;
}

double pearson(const std::vector<double>& a, const std::vector<double>& b) {
  const auto n = static_cast<double>(a.size());
  const double mean_a = std::accumulate(a.begin(), a.end(), 0.0) / n,
               mean_b = std::accumulate(b.begin(), b.end(), 0.0) / n;
  double ab = 0, aa = 0, bb = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    ab += (a[i] - mean_a) * (b[i] - mean_b);
    aa += (a[i] - mean_a) * (a[i] - mean_a);
    bb += (b[i] - mean_b) * (b[i] - mean_b);
  }
  return aa > 0 && bb > 0 ? ab / std::sqrt(aa * bb) : 0;
}

Evaluation evaluation_of(const PlanProbe::Result& result) {
  Evaluation e;
  e.samples = result.samples;
  e.sqnr_db = result.noise > 0 ? -10 * std::log10(result.noise) : 200;
  e.agreement = result.agreement;
  e.agreement_ci =
      wilson(std::llround(result.agreement * static_cast<double>(result.samples)), result.samples);
  return e;
}

}  // namespace

std::vector<Assignment> Contest::plans() const {
  std::vector<Assignment> found;
  for (double exponent : kExponents) {
    AssignOptions bent = options;
    bent.price_exponent = exponent;
    Assignment a = assign(prepared.model, prepared.sites, scores, bent);
    const bool known = std::any_of(found.begin(), found.end(), [&](const Assignment& other) {
      return same_widths(a.plan, other.plan);
    });
    if (!known) found.push_back(std::move(a));
    if (request.effort == "fast" || request.solver != "auto") break;
  }
  // The bound of bent prices says nothing of the prices as they are.
  for (size_t i = 1; i < found.size(); ++i) {
    found[i].bound = found[0].bound;
    found[i].gap = found[0].gap;
    found[i].status = found[0].status;
    found[i].above_least = found[0].loss > 0 ? std::max(0.0, found[i].loss / found[0].loss - 1) : 0;
  }
  return found;
}

Assignment Contest::by_probe(std::vector<Assignment> plans, Searched& searched) const {
  size_t best = 0;
  std::optional<PlanProbe::Result> least;
  for (size_t i = 0; i < plans.size(); ++i) {
    const PlanProbe::Result result = probe.measure(plans[i].plan);
    log(LogLevel::kDebug, cat("plan ", i + 1, ": predicted ", plans[i].loss, ", measured ",
                              result.noise, ", agreement ", result.agreement));
    if (least && !(result.noise < least->noise)) continue;
    least = result;
    best = i;
  }
  searched.measured = evaluation_of(*least);
  searched.measured_how = "each layer fitted in the float network";
  return std::move(plans[best]);
}

Assignment Contest::for_real(std::vector<Assignment> plans, Searched& searched) const {
  size_t best = 0;
  for (size_t i = 0; i < plans.size(); ++i) {
    const Evaluation now = real.measure(plans[i].plan);
    log(LogLevel::kInfo, cat("plan ", i + 1, " of ", plans.size(), ": predicted ", plans[i].loss,
                             ", measured SQNR ", fixed(now.sqnr_db, 2), " dB"));
    if (searched.measured && !(now.sqnr_db > searched.measured->sqnr_db)) continue;
    searched.measured = now;
    best = i;
  }
  return std::move(plans[best]);
}

Assignment Contest::winner(Searched& searched) const {
  std::vector<Assignment> found = plans();
  searched.plans_tried = static_cast<int64_t>(found.size());
  if (request.effort == "fast") return std::move(found[0]);
  return request.effort == "best" ? for_real(std::move(found), searched)
                                  : by_probe(std::move(found), searched);
}

Verification Contest::verify(int64_t plans) const {
  Verification v;
  std::vector<double> predicted, measured, ratio;
  Progress progress("verifying", plans, "plans");
  for (auto& [plan, loss] :
       random_plans(prepared.model, prepared.sites, scores, options, plans, 1)) {
    const PlanProbe::Result result = probe.measure(plan);
    v.samples = result.samples;
    predicted.push_back(std::log(std::max(loss, 1e-30)));
    measured.push_back(std::log(std::max(result.noise, 1e-30)));
    ratio.push_back(result.noise / std::max(loss, 1e-30));
    progress.advance(1);
  }
  v.plans = plans;
  v.spearman = pearson(ranks(predicted), ranks(measured));
  v.pearson_log = pearson(predicted, measured);
  std::nth_element(ratio.begin(), ratio.begin() + plans / 2, ratio.end());
  v.median_ratio = ratio[static_cast<size_t>(plans / 2)];
  return v;
}

}  // namespace qtool::pipeline
