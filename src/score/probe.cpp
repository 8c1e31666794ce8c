#include <algorithm>

#include "qtool/candidates.hpp"
#include "qtool/exec.hpp"
#include "quantize/internal.hpp"
#include "score/output_error.hpp"
#include "score/score_methods.hpp"

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
    layer.bias = shifted_bias(model, site, chosen.bias_shift);
  }
  return results;
}

int64_t bytes_of(const Batch& batch) {
  int64_t bytes = 0;
  for (const auto& [name, tensor] : batch.feed) bytes += tensor.bytes();
  return bytes;
}

}  // namespace

// Ranges are searched for once: the plans of a search differ in widths alone.
struct PlanProbe::Known {
  qdq::ActivationParams of(const Sites& sites, const QuantPlan& plan, const CalibrationTable& table,
                           int threads) {
    if (!(style == plan.style)) quantizers.clear();
    style = plan.style;
    return qdq::activation_params(sites, plan, table, threads, &quantizers);
  }
  ActivationStyle style;
  qdq::KnownQuantizers quantizers;
};

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
      wanted_(static_cast<size_t>(chunks)),
      known_(std::make_unique<Known>()) {
  constexpr int64_t kHeldBytes = int64_t{128} << 20;
  const Executor executor(model);
  if (chunks > 0 && bytes_of(source.chunk(first)) * chunks <= kHeldBytes)
    batches_.resize(static_cast<size_t>(chunks));
  parallel_for(threads, chunks, [&](int64_t c, int) {
    const auto i = static_cast<size_t>(c);
    const Batch batch = source.chunk(first + c);
    wanted_[i] = executor.run(batch.feed);
    if (!batches_.empty()) batches_[i] = batch;
  });
}

PlanProbe::~PlanProbe() = default;

Batch PlanProbe::batch(int64_t chunk) const {
  return batches_.empty() ? source_.chunk(first_ + chunk) : batches_[static_cast<size_t>(chunk)];
}

PlanProbe::Result PlanProbe::measure(const QuantPlan& plan, int64_t samples) const {
  const qdq::ActivationParams activations = known_->of(sites_, plan, table_, threads_);
  qdq::LayerResults layers = chosen_layers(model_, sites_, candidates_, plan);
  for (auto& [name, layer] : layers) {
    const LayerSite& site = *sites_.layer(name);
    if (const QParams* input = qdq::input_params(site, activations))
      qdq::repair_bias_overflow(layer, site, *input);
  }
  const Executor executor(qdq::insert_qdq(model_, sites_, activations, layers));
  size_t chunks = 0;
  for (int64_t held = 0; chunks < wanted_.size() && held < samples; ++chunks)
    held += source_.samples_in(first_ + static_cast<int64_t>(chunks));
  std::vector<Result> parts(chunks);
  parallel_for(threads_, static_cast<int64_t>(chunks), [&](int64_t c, int) {
    const auto i = static_cast<size_t>(c);
    const Batch batch = this->batch(c);
    const std::vector<Tensor> have = executor.run(batch.feed);
    parts[i].by_sample = scoring::noise_by_sample(wanted_[i], have, batch.samples);
    parts[i].agreement = static_cast<double>(scoring::agreeing(wanted_[i], have, batch.samples));
    parts[i].samples = batch.samples;
  });
  Result all;
  for (const Result& part : parts) {
    for (double noise : part.by_sample) all.noise += noise;
    all.by_sample.insert(all.by_sample.end(), part.by_sample.begin(), part.by_sample.end());
    all.agreement += part.agreement;
    all.samples += part.samples;
  }
  const auto n = static_cast<double>(std::max<int64_t>(all.samples, 1));
  all.noise /= n;
  all.agreement /= n;
  return all;
}

}  // namespace qtool
