// Every width of every layer and filter from a few backward passes: the change that a quantized weight
// row makes in its output channel, followed to the network's outputs along the gradient. Exact to first
// order, row by row.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "qtool/branches.hpp"
#include "quantize/internal.hpp"
#include "score/output_noise.hpp"
#include "score/score_methods.hpp"

namespace qtool {
namespace {

// How much a filter's error matters is known from few samples and to first order: one that they hardly reach, or that a
// Relu or Clip cuts off, seems free. So this part of a layer's price is shared out by its filters' own output errors.
constexpr double kPartByError = 0.25;

// E[(quantized x − x)²] from the histogram; within a bin that is wider than a step the error is even.
double activation_noise(const ValueStats& stats, const QParams& params) {
  const double scale = params.scale[0], width = stats.histogram.bin_width();
  const double low = (params.min_at(0) - params.zero_point[0]) * scale,
               high = (params.max_at(0) - params.zero_point[0]) * scale;
  const auto& counts = stats.histogram.counts();
  double noise = 0, count = 0;
  for (size_t b = 0; b < counts.size(); ++b) {
    if (counts[b] == 0) continue;
    const double x = stats.histogram.lower_edge(static_cast<int>(b)) + width / 2;
    const double inside = std::clamp(x, low, high), beyond = x - inside;
    const double rounded = std::nearbyint(inside / scale) * scale - inside;
    const double error = width < scale ? rounded * rounded : scale * scale / 12;
    noise += static_cast<double>(counts[b]) * (beyond != 0 ? beyond * beyond : error);
    count += static_cast<double>(counts[b]);
  }
  return count > 0 ? noise / count : 0;
}

// `unit_noise`: what noise of unit power makes, `at_run_time`: what codes of each mode do, both by value.
GroupScore activation_group(const Sites& sites, const ActivationSite& site,
                            const std::map<std::string, double>& unit_noise,
                            const std::map<std::string, std::vector<double>>& at_run_time,
                            const CalibrationTable& table, const ScoreOptions& options) {
  GroupScore group{GroupKind::kActivation, site.name, options.activations, {}};
  size_t mode = 0;
  for (const Width& width : options.activations) {
    double noise = 0;
    if (width.mode != ActivationMode::kStatic) {
      for (const std::string& name : covered_values(site)) noise += at_run_time.at(name)[mode];
      ++mode;
    } else if (width.bits != kFloatBits) {
      const auto add = [&](int bits, const std::string& value, const std::string& where) {
        const QParams params = qdq::activation_quantizer(sites, site, bits, options.style, table);
        noise += activation_noise(table.at(value), params) * unit_noise.at(where);
      };
      const auto apart =
          is_read_apart(width) ? read_apart(sites, site) : std::vector<const ActivationSite*>();
      for (const ActivationSite* read : apart)
        add(width.bits, read->name, read_by_layers(read->name));
      for (const std::string& name : covered_values(site))
        add(apart.empty() ? width.bits : kBranchBits, name, name);
    }
    group.noise.push_back(noise);
  }
  return group;
}

GroupScore weight_group(const LayerSite& site, std::vector<std::vector<double>> rows,
                        const ScoreOptions& options) {
  GroupScore group{GroupKind::kWeights, site.name, options.weights,
                   std::vector<double>(options.weights.size(), 0), std::move(rows)};
  for (const std::vector<double>& row : group.filter_noise)
    for (size_t c = 0; c < row.size(); ++c) group.noise[c] += row[c];
  return group;
}

// Leaves the layer's prices as they are.
void share_by_error(const Model& model, const LayerSite& site, const CalibrationTable& table,
                    const ScoreOptions& options, GroupScore& group) {
  const Tensor& weight = *model.graph.constant(model.graph.find(site.weight));
  const std::vector<WeightCodes>& candidates = options.candidates->layers.at(site.name).codes;
  for (size_t c = 0; c < candidates.size(); ++c) {
    if (!candidates[c].codes.defined()) continue;
    const std::vector<double> errors = row_errors(weight, site, candidates[c], table);
    const double sum = std::accumulate(errors.begin(), errors.end(), 0.0);
    if (!(sum > 0)) continue;
    for (size_t f = 0; f < group.filter_noise.size(); ++f) {
      double& price = group.filter_noise[f][c];
      price += kPartByError * (group.noise[c] * errors[f] / sum - price);
    }
  }
}

// Of every width; none where it is float.
std::vector<fisher::WeightChange> changes_of(const Model& model, const LayerSite& site,
                                             const WeightCandidates& candidates) {
  const Tensor& weight = *model.graph.constant(model.graph.find(site.weight));
  std::vector<fisher::WeightChange> changes;
  for (const WeightCodes& codes : candidates.layers.at(site.name).codes) {
    changes.emplace_back();
    if (codes.codes.defined())
      changes.back() = fisher::WeightChange(codes, weight, site.channel_axis);
  }
  return changes;
}

ScoreTable run(const Model& model, const Sites& sites, const CalibrationTable& table,
               const SampleSource& source, const ScoreOptions& options) {
  require_main_graph("fisher", sites);
  const std::vector<const LayerSite*> layers = quantizable_layers(sites);
  const std::vector<const ActivationSite*> owners = priced_activations(model, sites, options);
  std::vector<std::string> activations;
  const bool apart = std::ranges::any_of(options.activations, is_read_apart);
  for (const ActivationSite* site : owners) {
    for (const std::string& name : covered_values(*site)) activations.push_back(name);
    if (!apart) continue;
    for (std::string& name : values_read_apart(sites, *site))
      activations.push_back(std::move(name));
  }
  fisher::require_gradients(model, layers, activations);
  const auto [chunks, samples] = scored_chunks(source, options.samples);
  std::vector<fisher::LayerChanges> priced;
  for (const LayerSite* site : layers)
    priced.push_back({site, changes_of(model, *site, *options.candidates)});
  std::vector<ActivationMode> modes;
  for (const Width& width : options.activations)
    if (width.mode != ActivationMode::kStatic) modes.push_back(width.mode);
  fisher::OutputNoise noise =
      fisher::output_noise(model, priced, activations, modes, source, chunks, options.threads);
  ScoreTable scores{table.model_fingerprint, "fisher", samples, {}};
  for (size_t i = 0; i < layers.size(); ++i)
    scores.groups.push_back(weight_group(*layers[i], std::move(noise.rows[i]), options));
  parallel_for(options.threads, static_cast<int64_t>(layers.size()), [&](int64_t i, int) {
    const auto at = static_cast<size_t>(i);
    share_by_error(model, *layers[at], table, options, scores.groups[at]);
  });
  std::map<std::string, double> unit_noise;
  std::map<std::string, std::vector<double>> at_run_time;
  for (size_t i = 0; i < activations.size(); ++i) {
    unit_noise[activations[i]] = noise.activations[i];
    at_run_time[activations[i]] = std::move(noise.at_run_time[i]);
  }
  for (const ActivationSite* site : owners)
    scores.groups.push_back(
        activation_group(sites, *site, unit_noise, at_run_time, table, options));
  return scores;
}

}  // namespace

extern const ScoreMethod kFisher = {
    .name = "fisher",
    .summary = "gradients of the outputs times the optimiser's errors; prices filters too",
    .in_noise = true,
    .run = run};

}  // namespace qtool
