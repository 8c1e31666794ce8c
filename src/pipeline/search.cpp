#include <algorithm>
#include <cmath>

#include "pipeline/contest.hpp"
#include "pipeline/stages.hpp"

namespace qtool {
namespace {

using namespace pipeline;

// Looked at by what measures plans.
constexpr int64_t kProbedSamples = 128;

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

// Of layers that no rule gives another; hybrid plans start static.
ActivationMode mode_of(const PlanRequest& request) {
  return find_activation_mode(request.activation_mode).value_or(ActivationMode::kStatic);
}

void check_widths(const std::vector<int>& widths, int lowest, int highest, std::string_view what) {
  for (int bits : widths) {
    if (bits == kFloatBits || (bits >= lowest && bits <= highest)) continue;
    throw Error(ErrorKind::kUsage, "QT-E126", cat(what, " of ", bits, " bits are not available"))
        .hint(cat(
            lowest, " to ", highest, ", or float",
            bits == 0 && what == "weights" ? "; 0 prunes filters, with --granularity filter" : ""));
  }
}

bool uniform_only(const PlanRequest& request) {
  return request.formats == std::vector<std::string>{"uniform"};
}

// Of the widths asked for, those that the formats have.
std::vector<Width> offered_widths(const PlanRequest& request) {
  if (uniform_only(request)) {
    std::vector<int> unpruned = request.weight_bits;
    if (request.granularity == "filter") std::erase(unpruned, 0);
    if (unpruned.empty())
      throw Error(ErrorKind::kUsage, "QT-E126", "weights of 0 bits alone leave no network")
          .hint("add widths for the filters that are kept: --weights 0,2,3,4,8");
    check_widths(unpruned, 2, 8, "weights");
    return {request.weight_bits.begin(), request.weight_bits.end()};
  }
  if (request.granularity == "filter")
    throw Error(ErrorKind::kUsage, "QT-E127", "--granularity filter is for uniform weights")
        .hint("leave --formats out, or take --granularity layer");
  std::vector<Width> widths = widths_in(request.formats, request.weight_bits);
  for (const std::string& format : request.formats) {
    if (std::ranges::none_of(widths, [&](const Width& w) { return w.format == format; }))
      check_format_bits(parse_format(format), request.weight_bits[0]);
  }
  return widths;
}

// Hybrid plans choose by value when it gets its range, too.
std::vector<Width> offered_activations(const PlanRequest& request) {
  std::vector<Width> widths(request.activation_bits.begin(), request.activation_bits.end());
  if (request.activation_mode != "hybrid") return widths;
  for (const ActivationMode mode : {ActivationMode::kDynamic, ActivationMode::kToken})
    widths.emplace_back(8, "uniform", mode);
  return widths;
}

Searched uniform(const Prepared& p, const Workspace& w, const PlanRequest& request) {
  UniformChoice choice = parse_uniform(*request.uniform);
  if (!choice.mode) choice.mode = mode_of(request);
  if (request.formats.size() != 1)
    throw Error(ErrorKind::kUsage, "QT-E127", "--formats goes with a budget")
        .hint("give --format one for --uniform");
  const WeightFormat format = parse_format(request.formats[0]);
  if (choice.weight_bits != kFloatBits) check_format_bits(format, choice.weight_bits);
  check_widths({choice.activation_bits}, 2, 16, "activations");
  Searched s;
  s.uniform = true;
  s.assignment.plan = uniform_plan(p.sites, choice, parse_keeps(request.keep));
  s.assignment.status = "given";
  s.assignment.solver = "none";
  for (LayerChoice& layer : s.assignment.plan.layers) layer.method = request.optimizer;
  s.assignment.plan.power_of_two_scales = request.power_of_two_scales;
  set_format(s.assignment.plan, format);
  settle_activation_modes(s.assignment.plan, p.sites, p.model);
  if (request.keep_loud && choice.activation_bits < kFloatBits)
    keep_loud(p, *source_of(w, p.model), load_table(w), request, s.assignment.plan);
  if (!request.profile.empty())
    check_allowed(s.assignment.plan, p.sites, load_profile(request.profile));
  return s;
}

// A quarter of the data is never scored on: plans are measured there.
int64_t samples_scored(const Sites& sites, const SampleSource& source, const PlanRequest& request) {
  if (request.score_samples > 0) return request.score_samples;
  constexpr int64_t kWork = 10'000'000'000;  // MACs of a forward pass over the samples
  int64_t macs = 0;
  for (const LayerSite& site : sites.layers) macs += site.macs;
  const int64_t wanted = macs > 0 ? std::clamp<int64_t>(kWork / macs, 64, 256) : 64;
  return std::min(wanted, std::max<int64_t>(1, source.samples() - source.samples() / 4));
}

// From the workspace where they were made before under the same conditions; only widths that are not
// there are priced.
ScoreTable scores_of(const Prepared& p, const Workspace& w, const CalibrationTable& table,
                     const WeightCandidates& candidates, const SampleSource& source,
                     const PlanRequest& request) {
  ScoreOptions scoring;
  scoring.method = request.score;
  scoring.activations = offered_activations(request);
  scoring.optimizer = request.optimizer;
  scoring.range_method = request.range;
  scoring.samples = samples_scored(p.sites, source, request);
  scoring.threads = request.threads;
  std::string activations;
  for (const Width& width : scoring.activations)
    activations += cat(" a", width.bits, activation_mode_name(width.mode));
  const std::string key = cat(kVersion, " ", request.score, " ", request.optimizer, " ",
                              request.range, " ", scoring.samples, " ", request.target, activations,
                              request.power_of_two_scales ? " shifts" : "");
  ScoreTable known;
  if (std::filesystem::exists(w.file(kScores))) {
    ScoreTable old = load_scores(w.file(kScores));
    if (old.key == key && old.model_fingerprint == w.fingerprint) known = std::move(old);
  }
  scoring.weights = missing_widths(known, candidates.widths);
  ScoreTable added;
  if (!scoring.weights.empty()) {
    const WeightCandidates missing = some_widths(candidates, scoring.weights);
    scoring.candidates = &missing;
    added = score(p.model, p.sites, table, source, scoring);
    added.model_fingerprint = w.fingerprint;
    added.key = key;
  } else {
    log(LogLevel::kInfo, "scores are known from before");
  }
  std::vector<Width> all = candidates.widths;
  if (!known.groups.empty()) {
    for (const Width& width : known.groups[0].widths)
      if (known.groups[0].kind == GroupKind::kWeights && std::ranges::find(all, width) == all.end())
        all.push_back(width);
  }
  save_scores(joined_scores(known, added, all), w.file(kScores));
  return joined_scores(known, added, candidates.widths);
}

Searched search(const Prepared& p, const Workspace& w, const PlanRequest& request) {
  std::vector<Width> widths = offered_widths(request);
  check_widths(request.activation_bits, 2, 16, "activations");
  AssignOptions options;
  options.limits = parse_budget(joined(request.budgets));
  // But for hybrid plans weights are searched for on static activations, which are told apart from others at the end.
  const std::vector<Keep> keeps = parse_keeps(request.keep);
  for (const auto& [pattern, choice] : keeps)
    options.keep.push_back({pattern, {choice.weight_bits, choice.activation_bits}});
  options.activation_bits = request.activation_bits.back();
  options.solver = request.solver;
  options.method = request.optimizer;
  options.storage = request.storage;
  options.per_filter = request.granularity == "filter";
  options.source = "search " + joined(request.budgets);
  options.power_of_two_scales = request.power_of_two_scales;
  if (!request.profile.empty()) {
    options.profile = load_profile(request.profile);
    std::erase_if(widths,
                  [&](const Width& width) { return !options.profile->allows_weights(width); });
  }
  if (widths.empty())
    throw Error(ErrorKind::kInfeasible, "QT-E501",
                cat("the profile '", printable(options.profile->name),
                    "' allows none of the widths and formats asked for"))
        .hint("name others with --weights and --formats");
  const auto source = source_of(w, p.model);
  Searched s;
  const CalibrationTable table = load_table(w);
  const WeightCandidates candidates =
      weight_candidates(p.model, p.sites, table, *source,
                        {widths, request.optimizer, samples_scored(p.sites, *source, request),
                         request.threads, request.power_of_two_scales});
  s.scores = scores_of(p, w, table, candidates, *source, request);
  // Samples that scores do not look at, where there are any.
  const int64_t chunks = source->chunk_count();
  int64_t probed = 0;
  for (int64_t samples = 0; probed < chunks && samples < kProbedSamples; ++probed)
    samples += source->chunk(chunks - 1 - probed).samples;
  const PlanProbe probe(p.model, p.sites, table, candidates, *source, chunks - probed, probed,
                        request.threads);
  options.quality = [&](QuantPlan plan) {
    plan.range_method = request.range;
    plan.signed_activations = request.signed_activations;
    return probe.measure(plan).agreement;
  };
  QuantizeOptions quantizing;
  quantizing.threads = request.threads;
  quantizing.target = request.target;
  FloorSearch floors{p, table, s.scores, *source, options, request, quantizing};
  if (std::ranges::any_of(options.limits, [](const Limit& l) { return l.kind == Limit::kDrop; }))
    floors.vicinity.emplace(p.model, *source, request.threads);
  const Contest contest{p, s.scores, options, request, probe, floors};
  if (std::any_of(options.limits.begin(), options.limits.end(), is_quality_floor))
    s.assignment = floors.cheapest(s.measured);
  else
    s.assignment = contest.winner(s);
  const QuantPlan modes =
      uniform_plan(p.sites, {8, options.activation_bits, mode_of(request)}, keeps);
  for (LayerChoice& layer : s.assignment.plan.layers)
    if (request.activation_mode != "hybrid" || !layer.reason.empty())
      layer.mode = modes.layer(layer.name)->mode;
  settle_activation_modes(s.assignment.plan, p.sites, p.model);
  if (request.frontier_points > 0)
    s.frontier = frontier(p.model, p.sites, s.scores, options, request.frontier_points);
  if (request.verify_plans > 0) s.verification = contest.verify(request.verify_plans);
  return s;
}

// What the constants of the written model may take; 0: any, also where sizes are not counted as some file has them.
int64_t most_bytes(const PlanRequest& request, const Model& model) {
  double most = 0;
  for (const Limit& limit :
       request.uniform ? std::vector<Limit>{} : parse_budget(joined(request.budgets))) {
    double bytes = limit.kind == Limit::kSize ? limit.value : 0;
    for (const auto& [id, constant] : model.graph.initializers)
      if (limit.kind == Limit::kSizeFraction)
        bytes += limit.value * static_cast<double>(constant.data.bytes());
    if (bytes > 0) most = most > 0 ? std::min(most, bytes) : bytes;
  }
  if (most > 0 && request.storage == Storage::kWidths) {
    log(LogLevel::kWarning,
        "the size limit counts codes in their own width; plain pairs take a byte a code: --export "
        "packed, or another style, holds it in the written file");
    return 0;
  }
  return static_cast<int64_t>(std::floor(most));
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
  Searched s = request.uniform ? uniform(p, w, request) : search(p, w, request);
  if (request.granularity == "filter" && request.weight_scale != "channel")
    throw Error(ErrorKind::kUsage, "QT-E127",
                "--granularity filter goes with a scale a channel, not with --weight-scale")
        .hint("leave one of them out");
  set_weight_scale(s.assignment.plan, p.sites, parse_weight_scale(request.weight_scale));
  s.assignment.cost = plan_cost(s.assignment.plan, p.sites, p.model, request.storage);
  s.assignment.plan.model_fingerprint = w.fingerprint;
  s.assignment.plan.range_method = request.range;
  s.assignment.plan.signed_activations = request.signed_activations;
  s.assignment.plan.export_style = request.export_style;
  s.assignment.plan.most_bytes = most_bytes(request, p.model);
  save_plan(s.assignment.plan, w.file(kPlan));
  s.seconds = now_seconds() - begin;
  return s;
}

}  // namespace qtool
