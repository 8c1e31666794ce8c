#include <algorithm>

#include "qtool/candidates.hpp"
#include "qtool/exec.hpp"
#include "quantize/internal.hpp"
#include "score/output_error.hpp"

namespace qtool {
namespace {

qdq::LayerResults chosen_layers(const Model& model, const Sites& sites,
                                const WeightCandidates& candidates, const QuantPlan& plan) {
  qdq::LayerResults results;
  for (const LayerChoice& choice : plan.layers) {
    if (choice.weight_bits == kFloatBits) continue;
    const LayerSite& site = *sites.layer(choice.name);
    ChosenWeight chosen = chosen_weight(candidates, site, choice);
    qdq::LayerResult& layer = results[choice.name];
    layer.weight = std::move(chosen.codes);
    layer.bits = choice.weight_bits;
    layer.mode = choice.mode;
    if (!site.bias.empty()) {
      const auto bias = model.graph.constant(model.graph.find(site.bias))->data<float>();
      layer.bias.assign(bias.begin(), bias.end());
    }
    layer.bias.resize(std::max(layer.bias.size(), chosen.bias_shift.size()), 0.f);
    for (size_t c = 0; c < chosen.bias_shift.size(); ++c) layer.bias[c] += chosen.bias_shift[c];
  }
  return results;
}

}  // namespace

PlanProbe::PlanProbe(const Model& model, const Sites& sites, const CalibrationTable& table,
                     const WeightCandidates& candidates, const SampleSource& source, int64_t first,
                     int64_t chunks, int threads)
    : model_(model),
      sites_(sites),
      table_(table),
      candidates_(candidates),
      source_(source),
      first_(first),
      threads_(threads),
      wanted_(static_cast<size_t>(chunks)) {
  const Executor executor(model);
  parallel_for(threads, chunks, [&](int64_t c, int) {
    wanted_[static_cast<size_t>(c)] = executor.run(source.chunk(first + c).feed);
  });
}

PlanProbe::Result PlanProbe::measure(const QuantPlan& plan) const {
  const qdq::ActivationParams activations = qdq::activation_params(sites_, plan, table_);
  qdq::LayerResults layers = chosen_layers(model_, sites_, candidates_, plan);
  for (auto& [name, layer] : layers) {
    const LayerSite& site = *sites_.layer(name);
    if (const QParams* input = qdq::input_params(site, activations))
      qdq::repair_bias_overflow(layer, site, *input);
  }
  const Executor executor(qdq::insert_qdq(model_, sites_, activations, layers));
  std::vector<Result> parts(wanted_.size());
  parallel_for(threads_, static_cast<int64_t>(wanted_.size()), [&](int64_t c, int) {
    const auto i = static_cast<size_t>(c);
    const Batch batch = source_.chunk(first_ + c);
    const std::vector<Tensor> have = executor.run(batch.feed);
    const auto samples = static_cast<double>(batch.samples);
    parts[i] = {scoring::relative_noise(wanted_[i], have) * samples,
                static_cast<double>(scoring::agreeing(wanted_[i], have, batch.samples)),
                batch.samples};
  });
  Result all;
  for (const Result& part : parts) {
    all.noise += part.noise;
    all.agreement += part.agreement;
    all.samples += part.samples;
  }
  const auto n = static_cast<double>(std::max<int64_t>(all.samples, 1));
  all.noise /= n;
  all.agreement /= n;
  return all;
}

}  // namespace qtool
