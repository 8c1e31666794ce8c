#include "qtool/score.hpp"

#include <algorithm>

#include "qtool/branches.hpp"
#include "score/score_methods.hpp"

namespace qtool {

std::vector<const LayerSite*> quantizable_layers(const Sites& sites) {
  std::vector<const LayerSite*> layers;
  for (const LayerSite& site : sites.layers)
    if (site.reason.empty()) layers.push_back(&site);
  return layers;
}

GroupScore unpriced_filters(const LayerSite& site, const std::vector<Width>& widths) {
  GroupScore group{GroupKind::kWeights, site.name, widths, std::vector<double>(widths.size(), 0)};
  group.filter_noise.assign(static_cast<size_t>(site.channels),
                            std::vector<double>(widths.size(), 0));
  return group;
}

void set_price(GroupScore& group, size_t filter, size_t width, double price) {
  group.filter_noise[filter][width] = price;
  group.noise[width] += price;
}

std::vector<float> shifted_bias(const Model& model, const LayerSite& site,
                                const std::vector<float>& shift) {
  std::vector<float> bias;
  if (!site.bias.empty()) {
    const auto known = model.graph.constant(model.graph.find(site.bias))->data<float>();
    bias.assign(known.begin(), known.end());
  }
  bias.resize(std::max(bias.size(), shift.size()), 0.f);
  for (size_t c = 0; c < shift.size(); ++c) bias[c] += shift[c];
  return bias;
}

void require_main_graph(std::string_view method, const Sites& sites) {
  for (const LayerSite* site : quantizable_layers(sites)) {
    if (site->inside.empty()) continue;
    throw_unsupported(cat("the score '", method, "' does not reach into bodies, and layer '",
                          printable(site->name), "' stands in one of '", printable(site->inside),
                          "': take --score sqnr"));
  }
}

ScoredChunks scored_chunks(const SampleSource& source, int64_t samples) {
  ScoredChunks scored;
  while (scored.chunks < source.chunk_count() && scored.samples < samples)
    scored.samples += source.samples_in(scored.chunks++);
  return scored;
}

std::vector<const ActivationSite*> priced_activations(const Model& model, const Sites& sites,
                                                      const ScoreOptions& options) {
  std::vector<const ActivationSite*> owners;
  if (options.activations.empty()) return owners;
  for (const ActivationSite& site : sites.activations)
    if (site.shares_with.empty() && model.graph.find(site.name) != ValueId::kNone)
      owners.push_back(&site);
  return owners;
}

std::vector<std::string> covered_values(const ActivationSite& owner) {
  std::vector<std::string> values = {owner.name};
  values.insert(values.end(), owner.covers.begin(), owner.covers.end());
  return values;
}

bool is_read_apart(const Width& width) {
  return width.mode == ActivationMode::kStatic && width.bits < kBranchBits;
}

std::vector<std::string> values_read_apart(const Sites& sites, const ActivationSite& owner) {
  std::vector<std::string> values;
  for (const ActivationSite* site : read_apart(sites, owner))
    values.push_back(read_by_layers(site->name));
  return values;
}

void require_fixed_activations(std::string_view method, const ScoreOptions& options) {
  if (options.activations.empty()) return;
  throw Error(ErrorKind::kUsage, "QT-E139",
              cat("the score '", method, "' prices weights, not activations"))
      .hint("give --activations one width, or take --score fisher or sqnr");
}

std::span<const ScoreMethod* const> score_methods() {
  static const ScoreMethod* const kList[] = {&kAuto,    &kSqnr,          &kFisher,
                                             &kKl,      &kClass,         &kInteraction,
                                             &kHessian, &kOrthogonality, &kWeightNorm};
  return kList;
}

bool prices_noise(const ScoreTable& scores) {
  for (const ScoreMethod* m : score_methods())
    if (m->name == scores.method) return m->in_noise;
  return false;
}

ScoreTable score(const Model& model, const Sites& sites, const CalibrationTable& table,
                 const SampleSource& source, const ScoreOptions& options) {
  std::vector<std::string> names;
  std::optional<Model> split;
  if (std::ranges::any_of(options.activations, is_read_apart)) split = split_branches(model, sites);
  const Model& scored = split ? *split : model;
  for (const ScoreMethod* m : score_methods()) {
    names.emplace_back(m->name);
    if (m->name != options.method) continue;
    if (options.candidates || !m->needs_candidates)
      return m->run(scored, sites, table, source, options);
    const WeightCandidates candidates =
        weight_candidates(model, sites, table, source,
                          {options.weights, options.optimizer, options.samples, options.threads,
                           options.style.power_of_two_scales});
    ScoreOptions with = options;
    with.candidates = &candidates;
    return m->run(scored, sites, table, source, with);
  }
  const std::string near = nearest(options.method, names);
  throw Error(ErrorKind::kUsage, "QT-E123", cat("unknown score '", printable(options.method), "'"))
      .hint(near.empty() ? "`qtool list scores` shows them" : cat("did you mean '", near, "'?"));
}

}  // namespace qtool
