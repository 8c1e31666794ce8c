#include "pipeline/contest.hpp"

#include <algorithm>
#include <cmath>
#include <functional>

namespace qtool::pipeline {
namespace {

constexpr double kExponents[] = {1, 0.8, 1.25};
constexpr double kLeastNoise = 1e-30;
// Standard errors that a plan has to be better by than one of less predicted loss. Gains on fitted layers say little of
// quantized networks; gains of these are what is wanted.
constexpr double kGainWhenFitted = 2, kGainWhenQuantized = 1;

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

// A plan with everything in float that prices say something of.
QuantPlan without_choices(QuantPlan plan, const Sites& sites, const ScoreTable& scores) {
  for (const GroupScore& group : scores.groups) {
    if (group.kind == GroupKind::kWeights) {
      LayerChoice* layer = plan.layer(group.name);
      if (!layer || !layer->reason.empty()) continue;
      layer->weight_bits = kFloatBits;
      layer->filter_bits.clear();
      continue;
    }
    set_activation_bits(plan, sites, group.name, kFloatBits);
  }
  return plan;
}

Evaluation evaluation_of(const PlanProbe::Result& result) {
  Evaluation e;
  e.samples = result.samples;
  e.noise_by_sample = result.by_sample;
  e.sqnr_db = result.noise > 0 ? -10 * std::log10(result.noise) : 200;
  e.agreement = result.agreement;
  e.agreement_ci =
      wilson(std::llround(result.agreement * static_cast<double>(result.samples)), result.samples);
  return e;
}

// Of one measured plan over another, in standard errors.
double gain_over(const Evaluation& plan, const Evaluation& better) {
  return paired_gain(plan.noise_by_sample, better.noise_by_sample);
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

Assignment Contest::best_of(std::vector<Assignment> plans, const Measure& measure,
                            double least_gain, Searched& searched) const {
  size_t best = 0;
  for (size_t i = 0; i < plans.size(); ++i) {
    Evaluation now = measure(plans[i].plan);
    const double gain = i > 0 ? gain_over(*searched.measured, now) : 0;
    log(request.effort == "best" ? LogLevel::kInfo : LogLevel::kDebug,
        cat("plan ", i + 1, " of ", plans.size(), ": predicted ", plans[i].loss, ", measured SQNR ",
            fixed(now.sqnr_db, 2), " dB, gain in standard errors ", fixed(gain, 1)));
    if (i > 0 && !(gain > least_gain)) continue;
    searched.measured = std::move(now);
    best = i;
  }
  return std::move(plans[best]);
}

Assignment Contest::winner(Searched& searched) const {
  std::vector<Assignment> found = plans();
  searched.plans_tried = static_cast<int64_t>(found.size());
  if (request.effort == "fast") return std::move(found[0]);
  if (request.effort == "best") {
    const Measure quantized = [this](const QuantPlan& plan) { return real.measure(plan); };
    return rescored(best_of(std::move(found), quantized, kGainWhenQuantized, searched), searched);
  }
  const Measure fitted = [this](const QuantPlan& plan) {
    return evaluation_of(probe.measure(plan));
  };
  searched.measured_how = "each layer fitted in the float network";
  return best_of(std::move(found), fitted, kGainWhenFitted, searched);
}

std::optional<Assignment> Contest::near(const ScoreTable& around) const {
  try {
    return assign(prepared.model, prepared.sites, around, options);
  } catch (const Error& error) {
    // What a file stores beyond the sum over choices can leave nothing within a step.
    if (error.kind() != ErrorKind::kInfeasible) throw;
    return std::nullopt;
  }
}

Assignment Contest::rescored(Assignment best, Searched& searched) const {
  constexpr int64_t kRounds = 2;
  if (request.solver != "auto" || request.activation_mode == "hybrid" || !prices_noise(scores))
    return best;
  const double least = best.loss / (1 + best.above_least);
  Rescoring& r = searched.rescoring.emplace();
  r.sqnr_before_db = searched.measured->sqnr_db;
  const double unpriced = probe.measure(without_choices(best.plan, prepared.sites, scores)).noise;
  r.measured_over_predicted =
      std::pow(10.0, -r.sqnr_before_db / 10) / std::max(best.loss + unpriced, kLeastNoise);
  while (r.measured_over_predicted > 1 && r.rounds < kRounds) {
    const ScoreTable around =
        prices_around(best.plan, prepared.sites, scores,
                      [this](const QuantPlan& plan) { return probe.measure(plan).noise; });
    std::optional<Assignment> solved = near(around);
    if (!solved || same_widths(solved->plan, best.plan)) break;
    Assignment& next = *solved;
    ++r.rounds;
    ++searched.plans_tried;
    const Evaluation now = real.measure(next.plan);
    const double gain = gain_over(*searched.measured, now);
    log(LogLevel::kInfo,
        cat("priced again around the plan: measured SQNR ", fixed(now.sqnr_db, 2), " dB, before ",
            fixed(searched.measured->sqnr_db, 2), " dB, gain in standard errors ", fixed(gain, 1)));
    if (!(gain > kGainWhenQuantized)) break;
    ++r.kept;
    searched.measured = now;
    next.loss = predicted_loss(next.plan, prepared.sites, scores);
    next.above_least = least > 0 ? std::max(0.0, next.loss / least - 1) : 0;
    next.bound = best.bound;
    next.gap = best.gap;
    next.status = best.status;
    best = std::move(next);
  }
  return best;
}

std::optional<Verification> Contest::verify(int64_t plans, int64_t samples) const {
  std::vector<double> predicted, measured;
  int64_t seen = 0;
  Progress progress("verifying", plans, "plans");
  for (auto& [plan, loss] :
       random_plans(prepared.model, prepared.sites, scores, options, plans, 1)) {
    const PlanProbe::Result result = probe.measure(plan, samples);
    seen = result.samples;
    predicted.push_back(loss);
    measured.push_back(result.noise);
    progress.advance(1);
  }
  if (std::ranges::adjacent_find(predicted, std::not_equal_to<>()) == predicted.end())
    return std::nullopt;
  Verification v = compare_noise(predicted, measured);
  v.samples = seen;
  return v;
}

}  // namespace qtool::pipeline
