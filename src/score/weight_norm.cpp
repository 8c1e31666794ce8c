// ‖W − Q(W)‖² of plain rounding: what many tools rank layers by. A baseline: it does not look at data.
#include "score/score_methods.hpp"

namespace qtool {
namespace {

ScoreTable run(const Model& model, const Sites& sites, const CalibrationTable& table,
               const SampleSource&, const ScoreOptions& options) {
  require_fixed_activations("weight-norm", options);
  const CalibrationTable no_data;
  ScoreTable scores{table.model_fingerprint, "weight-norm", 0, {}};
  for (const LayerSite* site : quantizable_layers(sites)) {
    GroupScore& group = scores.groups.emplace_back(unpriced_filters(*site, options.weights));
    const Tensor& weight = *model.graph.constant(model.graph.find(site->weight));
    for (size_t c = 0; c < group.widths.size(); ++c) {
      const Width& width = group.widths[c];
      if (width.bits == kFloatBits) continue;
      const WeightCodes codes =
          optimize_layer(weight, *site, layer_choice(site->name, width), no_data);
      const std::vector<double> errors = row_errors(weight, *site, codes, no_data);
      for (size_t f = 0; f < errors.size(); ++f) set_price(group, f, c, errors[f]);
    }
  }
  return scores;
}

}  // namespace

extern const ScoreMethod kWeightNorm = {
    .name = "weight-norm",
    .summary = "squared change of the weights by plain rounding, a baseline; weights only",
    .needs_candidates = false,
    .run = run};

}  // namespace qtool
