// Every width of every layer and filter from a few backward passes: noise that a quantized weight row
// makes in its output channel, times what noise there does at the network's outputs. To first order,
// and as if the noise were independent from position to position.
#include <algorithm>
#include <cmath>

#include "score/score_methods.hpp"
#include "score/weight_errors.hpp"

namespace qtool {
namespace {

using fisher::Probe;
using fisher::Sensitivity;

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

GroupScore activation_group(const ActivationSite& site, const Sensitivity& gradient,
                            const CalibrationTable& table, const ScoreOptions& options) {
  GroupScore group{GroupKind::kActivation, site.name, options.activation_bits, {}};
  for (int bits : options.activation_bits) {
    const double noise =
        bits == kFloatBits ? 0 : activation_noise(table.at(site.name), bits, options);
    group.noise.push_back(noise * gradient.total());
  }
  return group;
}

// Rows of a weight whose index several output channels share have their mean gradient.
std::vector<double> by_row(const Sensitivity& gradient, size_t rows) {
  std::vector<double> mean(rows, 0);
  const size_t sharing = std::max<size_t>(gradient.channels.size() / rows, 1);
  for (size_t c = 0; c < gradient.channels.size(); ++c)
    mean[c % rows] += gradient.channels[c] / static_cast<double>(sharing);
  return mean;
}

GroupScore weight_group(const LayerSite& site, std::vector<std::vector<double>> noise,
                        const Sensitivity& gradient, const ScoreOptions& options) {
  GroupScore group{GroupKind::kWeights, site.name, options.weight_bits,
                   std::vector<double>(options.weight_bits.size(), 0), std::move(noise)};
  const std::vector<double> weight = by_row(gradient, group.filter_noise.size());
  for (size_t r = 0; r < group.filter_noise.size(); ++r) {
    for (size_t c = 0; c < group.noise.size(); ++c) {
      group.filter_noise[r][c] *= weight[r];
      group.noise[c] += group.filter_noise[r][c];
    }
  }
  return group;
}

struct Work {
  std::vector<const LayerSite*> layers;
  std::vector<const ActivationSite*> activations;  // empty: not searched
  std::vector<Probe> probes;                       // of the layers, then of the activations
};

Work collect(const Model& model, const Sites& sites, const ScoreOptions& options) {
  Work work;
  for (const LayerSite& site : sites.layers) {
    if (!site.reason.empty()) continue;
    const auto node = std::find_if(model.graph.nodes.begin(), model.graph.nodes.end(),
                                   [&](const Node& n) { return n.name == site.name; });
    work.layers.push_back(&site);
    work.probes.push_back({model.graph.value(node->outputs[0]).name, site.dense});
  }
  if (options.activation_bits.size() < 2) return work;
  for (const ActivationSite& site : sites.activations) {
    if (!site.shares_with.empty()) continue;
    work.activations.push_back(&site);
    work.probes.push_back({site.name, false});
  }
  return work;
}

ScoreTable run(const Model& model, const Sites& sites, const CalibrationTable& table,
               const SampleSource& source, const ScoreOptions& options) {
  const Work work = collect(model, sites, options);
  int64_t chunks = 0, samples = 0;
  while (chunks < source.chunk_count() && samples < options.samples)
    samples += source.chunk(chunks++).samples;
  const std::vector<Sensitivity> gradients =
      fisher::output_gradients(model, work.probes, source, chunks, options.threads);
  auto errors = fisher::weight_errors(model, work.layers, gradients, table, source, chunks,
                                      {options.weight_bits, options.optimizer, options.threads});
  ScoreTable scores{table.model_fingerprint, "fisher", samples, {}};
  for (size_t i = 0; i < work.layers.size(); ++i) {
    scores.groups.push_back(
        weight_group(*work.layers[i], std::move(errors[i]), gradients[i], options));
  }
  for (size_t i = 0; i < work.activations.size(); ++i) {
    scores.groups.push_back(
        activation_group(*work.activations[i], gradients[work.layers.size() + i], table, options));
  }
  return scores;
}

}  // namespace

extern const ScoreMethod kFisher = {
    .name = "fisher",
    .summary = "gradients of the outputs times the optimiser's errors; prices filters too",
    .run = run};

}  // namespace qtool
