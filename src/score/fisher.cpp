// Every width of every layer and filter from a few backward passes: the change that a quantized weight
// row makes in its output channel, followed to the network's outputs along the gradient. Exact to first
// order, row by row.
#include <algorithm>
#include <cmath>

#include "score/output_noise.hpp"
#include "score/score_methods.hpp"
#include "score/weight_changes.hpp"

namespace qtool {
namespace {

// E[(quantized x − x)²] from the histogram; within a bin that is wider than a step the error is even.
double activation_noise(const ValueStats& stats, int bits, const ScoreOptions& options) {
  QuantSpec spec;
  spec.bits = bits;
  const Range range = find_range(options.range_method).choose(stats, spec);
  const QParams params = affine_params(range.lo, range.hi, spec);
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

GroupScore activation_group(const ActivationSite& site, double unit_noise,
                            const CalibrationTable& table, const ScoreOptions& options) {
  GroupScore group{GroupKind::kActivation, site.name, options.activation_bits, {}};
  for (int bits : options.activation_bits) {
    const double noise =
        bits == kFloatBits ? 0 : activation_noise(table.at(site.name), bits, options);
    group.noise.push_back(noise * unit_noise);
  }
  return group;
}

GroupScore weight_group(const LayerSite& site, std::vector<std::vector<double>> rows,
                        const ScoreOptions& options) {
  GroupScore group{GroupKind::kWeights, site.name, options.weight_bits,
                   std::vector<double>(options.weight_bits.size(), 0), std::move(rows)};
  for (const std::vector<double>& row : group.filter_noise)
    for (size_t c = 0; c < row.size(); ++c) group.noise[c] += row[c];
  return group;
}

ScoreTable run(const Model& model, const Sites& sites, const CalibrationTable& table,
               const SampleSource& source, const ScoreOptions& options) {
  std::vector<const LayerSite*> layers;
  for (const LayerSite& site : sites.layers)
    if (site.reason.empty()) layers.push_back(&site);
  std::vector<std::string> activations;
  for (const ActivationSite& site : sites.activations) {
    if (options.activation_bits.size() > 1 && site.shares_with.empty())
      activations.push_back(site.name);
  }
  fisher::require_gradients(model, layers, activations);
  int64_t chunks = 0, samples = 0;
  while (chunks < source.chunk_count() && samples < options.samples)
    samples += source.chunk(chunks++).samples;
  auto changes = fisher::weight_changes(model, layers, table, source, chunks,
                                        {options.weight_bits, options.optimizer, options.threads});
  std::vector<fisher::LayerChanges> priced;
  for (size_t i = 0; i < layers.size(); ++i) priced.push_back({layers[i], std::move(changes[i])});
  fisher::OutputNoise noise =
      fisher::output_noise(model, priced, activations, source, chunks, options.threads);
  ScoreTable scores{table.model_fingerprint, "fisher", samples, {}};
  for (size_t i = 0; i < layers.size(); ++i)
    scores.groups.push_back(weight_group(*layers[i], std::move(noise.rows[i]), options));
  for (size_t i = 0; i < activations.size(); ++i) {
    scores.groups.push_back(
        activation_group(*sites.activation(activations[i]), noise.activations[i], table, options));
  }
  return scores;
}

}  // namespace

extern const ScoreMethod kFisher = {
    .name = "fisher",
    .summary = "gradients of the outputs times the optimiser's errors; prices filters too",
    .run = run};

}  // namespace qtool
