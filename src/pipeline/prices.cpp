#include "pipeline/prices.hpp"

#include <algorithm>

namespace qtool::pipeline {
namespace {

// Of the float network over all samples, see ScoreOptions.
constexpr int64_t kMostPasses = 60;

std::string style_key(const ActivationStyle& style) {
  return cat(style.range_method, style.signed_codes ? " signed" : "",
             style.power_of_two_scales ? " shifts" : "",
             style.equal_around.empty() ? "" : " equal " + joined(style.equal_around),
             style.narrow_branches ? " narrow branches" : "");
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

// `wanted`, then what else of `known` there is.
std::vector<Width> both(std::vector<Width> wanted, const std::vector<Width>& known) {
  for (const Width& width : known)
    if (std::ranges::find(wanted, width) == wanted.end()) wanted.push_back(width);
  return wanted;
}

std::vector<Width> without(std::vector<Width> wanted, const std::vector<Width>& known) {
  std::erase_if(wanted, [&](const Width& w) { return std::ranges::find(known, w) != known.end(); });
  return wanted;
}

WeightCandidates candidates_of(const Prepared& p, const Workspace& w, const CalibrationTable& table,
                               const SampleSource& source, const PlanRequest& request,
                               const std::vector<Width>& widths) {
  CandidateOptions options{widths, request.optimizer, samples_scored(p.sites, source, request),
                           request.threads, style_of(request).power_of_two_scales};
  const auto solve = [&] { return weight_candidates(p.model, p.sites, table, source, options); };
  if (!uniform_only(request) || options.power_of_two_scales ||
      !find_optimizer(request.optimizer).needs_moments)
    return solve();
  const std::string key = cat(kVersion, " ", w.fingerprint, " ", request.optimizer, " ",
                              options.samples, " ", request.target);
  const WeightCandidates known =
      load_candidates(key, w.file(kCandidates)).value_or(WeightCandidates{});
  options.widths = without(widths, known.widths);
  if (options.widths.empty()) return joined_candidates(known, {}, widths);
  const WeightCandidates added = solve();
  save_candidates(joined_candidates(known, added, both(widths, known.widths)), key,
                  w.file(kCandidates));
  return joined_candidates(known, added, widths);
}

ScoreTable scores_of(const Prepared& p, const Workspace& w, const CalibrationTable& table,
                     const WeightCandidates& candidates, const SampleSource& source,
                     const PlanRequest& request) {
  ScoreOptions scoring;
  scoring.method = request.score;
  scoring.optimizer = request.optimizer;
  scoring.style = style_of(request);
  scoring.samples = samples_scored(p.sites, source, request);
  scoring.most_passes = request.score_samples > 0 ? 0 : kMostPasses;
  scoring.threads = request.threads;
  const std::string key = cat(kVersion, " ", request.score, " ", request.optimizer, " ",
                              style_key(scoring.style), " ", scoring.samples, " ", request.target);
  // One width is no choice.
  std::vector<Width> activations = offered_activations(request);
  if (activations.size() < 2) activations.clear();
  ScoreTable known, added;
  if (std::filesystem::exists(w.file(kScores))) {
    ScoreTable old = load_scores(w.file(kScores));
    if (old.key == key && old.model_fingerprint == w.fingerprint) known = std::move(old);
  }
  scoring.weights = missing_widths(known, GroupKind::kWeights, candidates.widths);
  scoring.activations = missing_widths(known, GroupKind::kActivation, activations);
  if (scoring.weights.empty() && scoring.activations.empty()) {
    log(LogLevel::kInfo, "scores are known from before");
  } else {
    const WeightCandidates missing = some_widths(candidates, scoring.weights);
    scoring.candidates = &missing;
    added = score(p.model, p.sites, table, source, scoring);
    added.model_fingerprint = w.fingerprint;
    added.key = key;
    save_scores(joined_scores(known, added,
                              both(candidates.widths, priced_widths(known, GroupKind::kWeights)),
                              both(activations, priced_widths(known, GroupKind::kActivation))),
                w.file(kScores));
  }
  return joined_scores(known, added, candidates.widths, activations);
}

}  // namespace

Prices prices_of(const Prepared& p, const Workspace& w, const CalibrationTable& table,
                 const SampleSource& source, const PlanRequest& request,
                 const std::vector<Width>& weights) {
  Prices prices;
  prices.candidates = candidates_of(p, w, table, source, request, weights);
  prices.scores = scores_of(p, w, table, prices.candidates, source, request);
  prices.samples = samples_scored(p.sites, source, request);
  return prices;
}

}  // namespace qtool::pipeline
