#include "pipeline/floors.hpp"
#include "pipeline/stages.hpp"

namespace qtool {
namespace {

using namespace pipeline;

std::vector<Keep> parse_keeps(const std::vector<std::string>& texts) {
  std::vector<Keep> keeps;
  for (const std::string& text : texts) {
    for (Keep& keep : parse_keep(text)) keeps.push_back(std::move(keep));
  }
  return keeps;
}

std::string joined(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : ",") + part;
  return text;
}

void check_widths(const std::vector<int>& widths, int lowest, int highest, std::string_view what) {
  for (int bits : widths) {
    if (bits == kFloatBits || (bits >= lowest && bits <= highest)) continue;
    throw Error(ErrorKind::kUsage, "QT-E126", cat(what, " of ", bits, " bits are not available"))
        .hint(cat(lowest, " to ", highest, ", or float"));
  }
}

Searched uniform(const Prepared& p, const PlanRequest& request) {
  const UniformChoice choice = parse_uniform(*request.uniform);
  check_widths({choice.weight_bits}, 2, 8, "weights");
  check_widths({choice.activation_bits}, 2, 16, "activations");
  Searched s;
  s.uniform = true;
  s.assignment.plan = uniform_plan(p.sites, choice, parse_keeps(request.keep));
  s.assignment.status = "given";
  s.assignment.solver = "none";
  for (LayerChoice& layer : s.assignment.plan.layers) layer.method = request.optimizer;
  return s;
}

Searched search(const Prepared& p, const Workspace& w, const PlanRequest& request) {
  check_widths(request.weight_bits, 2, 8, "weights");
  check_widths(request.activation_bits, 2, 16, "activations");
  AssignOptions options;
  options.limits = parse_budget(joined(request.budgets));
  options.keep = parse_keeps(request.keep);
  options.activation_bits = request.activation_bits.back();
  options.solver = request.solver;
  options.method = request.optimizer;
  options.per_filter = request.granularity == "filter";
  options.source = "search " + joined(request.budgets);
  ScoreOptions scoring;
  scoring.method = request.score;
  scoring.weight_bits = request.weight_bits;
  scoring.activation_bits = request.activation_bits;
  scoring.optimizer = request.optimizer;
  scoring.range_method = request.range;
  scoring.samples = request.score_samples;
  scoring.threads = request.threads;
  const auto source = source_of(w, p.model);
  Searched s;
  const CalibrationTable table = load_table(w);
  s.scores = score(p.model, p.sites, table, *source, scoring);
  s.scores.model_fingerprint = w.fingerprint;
  save_scores(s.scores, w.file(kScores));
  if (std::any_of(options.limits.begin(), options.limits.end(), is_quality_floor)) {
    QuantizeOptions quantizing;
    quantizing.threads = request.threads;
    quantizing.target = request.target;
    const FloorSearch floors{p, table, s.scores, *source, options, request, quantizing};
    s.assignment = floors.cheapest(s.measured);
  } else {
    s.assignment = assign(p.model, p.sites, s.scores, options);
  }
  return s;
}

}  // namespace

Searched run_search(const Workspace& w, const PlanRequest& request) {
  const double begin = now_seconds();
  if (request.uniform && !request.budgets.empty())
    throw Error(ErrorKind::kUsage, "QT-E127", "--uniform and --budget exclude each other");
  if (!request.uniform && request.budgets.empty())
    throw Error(ErrorKind::kUsage, "QT-E127", "no budget given")
        .hint("for example --budget 4.5bits");
  (void)find_optimizer(request.optimizer);
  (void)find_range(request.range);
  const Prepared p = load_prepared(w, request.target);
  Searched s = request.uniform ? uniform(p, request) : search(p, w, request);
  set_weight_scale(s.assignment.plan, p.sites, parse_weight_scale(request.weight_scale));
  s.assignment.cost = plan_cost(s.assignment.plan, p.sites, p.model);
  s.assignment.plan.model_fingerprint = w.fingerprint;
  s.assignment.plan.range_method = request.range;
  s.assignment.plan.signed_activations = request.signed_activations;
  save_plan(s.assignment.plan, w.file(kPlan));
  s.seconds = now_seconds() - begin;
  return s;
}

}  // namespace qtool
