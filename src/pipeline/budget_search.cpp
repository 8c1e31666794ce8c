#include "pipeline/budget_search.hpp"

#include <algorithm>

#include "pipeline/contest.hpp"
#include "pipeline/prices.hpp"

namespace qtool::pipeline {
namespace {

// Predictions are compared with so many plans where nobody says how many.
constexpr int64_t kVerifiedPlans = 16;

AssignOptions options_of(const PlanRequest& request) {
  AssignOptions options;
  options.limits = parse_budget(joined(request.budgets));
  // But for hybrid plans weights are searched for on static activations, which are told apart from others at the end.
  for (const auto& [pattern, choice] : keeps_of(request))
    options.keep.push_back({pattern, {choice.weight_bits, choice.activation_bits}});
  options.activation_bits = request.activation_bits.back();
  options.solver = request.solver;
  options.method = request.optimizer;
  options.storage = request.storage;
  options.per_filter = request.granularity == "filter";
  options.source = "search " + joined(request.budgets);
  options.style = style_of(request);
  if (!request.profile.empty()) options.profile = load_profile(request.profile);
  return options;
}

// The chunks that plans are looked at on: the last ones, of those that scores did not see where there are any.
struct Looked {
  int64_t first = 0, chunks = 0, samples = 0;
  bool seen = false;  // by scores
};
Looked looked_at(const SampleSource& source, int64_t scored_samples) {
  constexpr int64_t kSamples = 128;
  const int64_t all = source.chunk_count();
  int64_t scored = 0;
  for (int64_t samples = 0; scored < all && samples < scored_samples; ++scored)
    samples += source.samples_in(scored);
  Looked looked{.first = all, .seen = scored == all};
  const int64_t last = looked.seen ? 0 : scored;
  for (; looked.first > last && looked.samples < kSamples; ++looked.chunks)
    looked.samples += source.samples_in(--looked.first);
  return looked;
}

class BudgetSearch {
 public:
  BudgetSearch(const Prepared& p, const Workspace& w, const PlanRequest& request)
      : p_(p),
        request_(request),
        table_(load_table(w)),
        source_(source_of(w, p.model)),
        options_(options_of(request)),
        prices_(prices_of(p, w, table_, *source_, request, offered_widths(request))),
        looked_(looked_at(*source_, prices_.samples)),
        probe_(p.model, p.sites, table_, prices_.candidates, *source_, looked_.first,
               looked_.chunks, request.threads),
        real_{p, table_, prices_.scores, *source_, options_, request, {}},
        contest_{p, prices_.scores, options_, request, probe_, real_} {
    options_.quality = [this](const QuantPlan& plan) { return probe_.measure(plan).agreement; };
    real_.quantizing.threads = request.threads;
    real_.quantizing.target = request.target;
    const auto limits_drop = [](const Limit& limit) { return limit.kind == Limit::kDrop; };
    if (std::ranges::any_of(options_.limits, limits_drop))
      real_.vicinity.emplace(p.model, *source_, request.threads);
  }

  Searched run() {
    Searched s;
    if (std::ranges::any_of(options_.limits, is_quality_floor))
      s.assignment = real_.cheapest(s.measured);
    else
      s.assignment = contest_.winner(s);
    if (!s.measured_how.empty() && looked_.seen) s.measured_how += ", on samples that scores saw";
    set_modes(s.assignment.plan);
    if (request_.frontier_points > 0) {
      s.frontier = frontier(p_.model, p_.sites, prices_.scores, options_, request_.frontier_points);
    }
    s.verification = verified();
    s.scores = std::move(prices_.scores);
    return s;
  }

 private:
  // Unasked for, about one run over the data.
  std::optional<Verification> verified() const {
    const std::optional<int64_t>& wanted = request_.verify_plans;
    if (wanted ? *wanted == 0 : request_.effort == "fast") return std::nullopt;
    return contest_.verify(
        wanted.value_or(kVerifiedPlans),
        wanted ? looked_.samples : std::clamp<int64_t>(source_->samples() / 16, 8, 16));
  }

  void set_modes(QuantPlan& plan) const {
    const QuantPlan modes = uniform_plan(p_.sites, {8, options_.activation_bits, mode_of(request_)},
                                         keeps_of(request_));
    for (LayerChoice& layer : plan.layers)
      if (request_.activation_mode != "hybrid" || !layer.reason.empty())
        layer.mode = modes.layer(layer.name)->mode;
    settle_activation_modes(plan, p_.sites, p_.model);
  }

  const Prepared& p_;
  const PlanRequest& request_;
  const CalibrationTable table_;
  const std::unique_ptr<SampleSource> source_;
  AssignOptions options_;
  Prices prices_;
  const Looked looked_;
  const PlanProbe probe_;
  FloorSearch real_;
  const Contest contest_;
};

}  // namespace

Searched search_budget(const Prepared& prepared, const Workspace& workspace,
                       const PlanRequest& request) {
  check_widths(request.activation_bits, 1, 16, "activations");
  return BudgetSearch(prepared, workspace, request).run();
}

}  // namespace qtool::pipeline
