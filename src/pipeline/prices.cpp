#include "pipeline/prices.hpp"

#include <algorithm>

namespace qtool::pipeline {
namespace {

std::string style_key(const ActivationStyle& style) {
  return cat(style.range_method, style.signed_codes ? " signed" : "",
             style.power_of_two_scales ? " shifts" : "",
             style.equal_around.empty() ? "" : " equal " + joined(style.equal_around));
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
std::vector<int> both(std::vector<int> wanted, const std::vector<int>& known) {
  for (int width : known)
    if (std::ranges::find(wanted, width) == wanted.end()) wanted.push_back(width);
  return wanted;
}

std::vector<int> without(std::vector<int> wanted, const std::vector<int>& known) {
  std::erase_if(wanted, [&](int w) { return std::ranges::find(known, w) != known.end(); });
  return wanted;
}

WeightCandidates candidates_of(const Prepared& p, const Workspace& w, const CalibrationTable& table,
                               const SampleSource& source, const PlanRequest& request,
                               const std::vector<int>& bits) {
  CandidateOptions options{bits, request.optimizer, samples_scored(p.sites, source, request),
                           request.formats, request.threads};
  const auto solve = [&] { return weight_candidates(p.model, p.sites, table, source, options); };
  if (!uniform_only(request) || !find_optimizer(request.optimizer).needs_moments) return solve();
  const std::string key = cat(kVersion, " ", w.fingerprint, " ", request.optimizer, " ",
                              options.samples, " ", request.target);
  const WeightCandidates known =
      load_candidates(key, w.file(kCandidates)).value_or(WeightCandidates{});
  options.bits = without(bits, known.bits);
  if (options.bits.empty()) return joined_candidates(known, {}, bits);
  const WeightCandidates added = solve();
  save_candidates(joined_candidates(known, added, both(bits, known.bits)), key,
                  w.file(kCandidates));
  return joined_candidates(known, added, bits);
}

ScoreTable scores_of(const Prepared& p, const Workspace& w, const CalibrationTable& table,
                     const WeightCandidates& candidates, const SampleSource& source,
                     const PlanRequest& request) {
  ScoreOptions scoring;
  scoring.method = request.score;
  scoring.optimizer = request.optimizer;
  scoring.style = style_of(request);
  scoring.samples = samples_scored(p.sites, source, request);
  scoring.threads = request.threads;
  const std::string key =
      cat(kVersion, " ", request.score, " ", request.optimizer, " ", style_key(scoring.style), " ",
          scoring.samples, " ", request.target, " ", joined(request.formats));
  // One width is no choice.
  const std::vector<int> activation_bits =
      request.activation_bits.size() > 1 ? request.activation_bits : std::vector<int>{};
  ScoreTable known, added;
  if (std::filesystem::exists(w.file(kScores))) {
    ScoreTable old = load_scores(w.file(kScores));
    if (old.key == key && old.model_fingerprint == w.fingerprint) known = std::move(old);
  }
  scoring.weight_bits = missing_widths(known, GroupKind::kWeights, candidates.bits);
  scoring.activation_bits = missing_widths(known, GroupKind::kActivation, activation_bits);
  if (scoring.weight_bits.empty() && scoring.activation_bits.empty()) {
    log(LogLevel::kInfo, "scores are known from before");
  } else {
    const WeightCandidates missing = some_widths(candidates, scoring.weight_bits);
    scoring.candidates = &missing;
    added = score(p.model, p.sites, table, source, scoring);
    added.model_fingerprint = w.fingerprint;
    added.key = key;
    save_scores(joined_scores(known, added,
                              both(candidates.bits, priced_widths(known, GroupKind::kWeights)),
                              both(activation_bits, priced_widths(known, GroupKind::kActivation))),
                w.file(kScores));
  }
  return joined_scores(known, added, candidates.bits, activation_bits);
}

}  // namespace

Prices prices_of(const Prepared& p, const Workspace& w, const CalibrationTable& table,
                 const SampleSource& source, const PlanRequest& request,
                 const std::vector<int>& weight_bits) {
  Prices prices;
  prices.candidates = candidates_of(p, w, table, source, request, weight_bits);
  prices.scores = scores_of(p, w, table, prices.candidates, source, request);
  return prices;
}

}  // namespace qtool::pipeline
