#include "pipeline/budget_search.hpp"
#include "qtool/branches.hpp"

namespace qtool {
namespace pipeline {
namespace {

// Layers that a rule keeps are somebody's wish.
void check_allowed(const QuantPlan& plan, const Sites& sites, const DeviceProfile& device) {
  for (const LayerChoice& layer : plan.layers) {
    const LayerSite& site = *sites.layer(layer.name);
    const int input = plan.input_bits(site);
    if (!layer.reason.empty() || device.allows(site.type, {layer.weight_bits, layer.format}, input))
      continue;
    throw Error(ErrorKind::kInfeasible, "QT-E501",
                cat("the device '", printable(device.name), "' does not take ",
                    choice_text({layer.weight_bits, input}), " (", layer.format, ") at '",
                    printable(layer.name), "' (", site.type, ")"))
        .hint(
            "`qtool search --budget` chooses among what it takes; --keep pins a layer all the "
            "same");
  }
}

Searched uniform(const Prepared& p, const Workspace& w, const PlanRequest& request) {
  UniformChoice choice = parse_uniform(*request.uniform);
  if (!choice.mode) choice.mode = mode_of(request);
  if (request.formats.size() != 1)
    throw Error(ErrorKind::kUsage, "QT-E127", "--formats goes with a budget")
        .hint("give --format one for --uniform");
  const WeightFormat format = parse_format(request.formats[0]);
  if (choice.weight_bits != kFloatBits) check_format_bits(format, choice.weight_bits);
  check_widths({choice.activation_bits}, 1, 16, "activations");
  Searched s;
  s.uniform = true;
  s.assignment.plan = uniform_plan(p.sites, choice, keeps_of(request));
  s.assignment.status = "given";
  s.assignment.solver = "none";
  for (LayerChoice& layer : s.assignment.plan.layers) layer.method = request.optimizer;
  set_format(s.assignment.plan, format);
  s.assignment.plan.style = style_of(request);
  settle_activation_modes(s.assignment.plan, p.sites, p.model);
  if (!request.profile.empty())
    check_allowed(s.assignment.plan, p.sites, load_profile(request.profile));
  if (request.keep_loud && choice.activation_bits < kFloatBits)
    keep_loud(p, *source_of(w, p.model), load_table(w), request, s.assignment.plan);
  return s;
}

}  // namespace

Searched choose_plan(const Workspace& w, const PlanRequest& request, Prepared p) {
  share_parameters(p.sites, p.model, request.equal_around);
  if (request.narrow_branches) join_branches(p.sites);
  Searched s = request.uniform ? uniform(p, w, request) : search_budget(p, w, request);
  if (request.granularity == "filter" && request.weight_scale != "channel")
    throw Error(ErrorKind::kUsage, "QT-E127",
                "--granularity filter goes with a scale a channel, not with --weight-scale")
        .hint("leave one of them out");
  set_weight_scale(s.assignment.plan, p.sites, parse_weight_scale(request.weight_scale));
  s.assignment.cost = plan_cost(s.assignment.plan, p.sites, p.model, request.storage);
  s.assignment.plan.model_fingerprint = w.fingerprint;
  s.assignment.plan.export_style = request.export_style;
  s.assignment.plan.most_bytes = most_bytes(request, p.model);
  save_plan(s.assignment.plan, w.file(kPlan));
  return s;
}

}  // namespace pipeline

Searched run_search(const Workspace& w, const PlanRequest& given) {
  const double begin = now_seconds();
  const PlanRequest request = pipeline::checked(given);
  Searched s = pipeline::choose_plan(w, request, load_prepared(w, request.target));
  s.seconds = now_seconds() - begin;
  return s;
}

}  // namespace qtool
