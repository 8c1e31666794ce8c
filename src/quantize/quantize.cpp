#include "qtool/quantize.hpp"

#include <algorithm>
#include <cmath>

#include "qtool/onnx.hpp"
#include "quantize/internal.hpp"

namespace qtool {
namespace {

using namespace qdq;

double weight_sqnr(const Tensor& weight, const LayerSite& site, const LayerResult& layer) {
  QParams p;
  p.storage = DType::kInt8;
  p.axis = site.channel_axis;
  p.scale = layer.weight.scales;
  p.zero_point.assign(p.scale.size(), 0);
  p.code_min = {-128};
  p.code_max = {127};
  const Tensor back = dequantize(layer.weight.codes, p);
  double signal = 0, noise = 0;
  for (int64_t i = 0; i < weight.size(); ++i) {
    const auto k = static_cast<size_t>(i);
    const double w = weight.data<float>()[k], e = w - back.data<float>()[k];
    signal += w * w;
    noise += e * e;
  }
  return noise > 0 ? 10 * std::log10(signal / noise) : 200;
}

// Chunks whose live values of both networks fit the memory that correction may take.
int64_t chunks_that_fit(const Sites& sites, const SampleSource& source) {
  constexpr int64_t kBudgetBytes = 384 << 20;
  int64_t largest = 1;
  for (const ActivationSite& site : sites.activations) largest = std::max(largest, site.elements);
  const int64_t per_sample = largest * static_cast<int64_t>(sizeof(float)) * 6;
  const int64_t per_chunk =
      per_sample *
      std::max<int64_t>(1, source.samples() / std::max<int64_t>(source.chunk_count(), 1));
  return std::clamp<int64_t>(kBudgetBytes / std::max<int64_t>(per_chunk, 1), 1,
                             source.chunk_count());
}

// Biases corrected on most chunks, kept when the outputs of held-out chunks come closer to float.
LayerResults correct(const Model& model, const Sites& sites, const ActivationParams& activations,
                     const LayerResults& layers, const SampleSource& source,
                     const QuantizeOptions& options, bool& kept) {
  const int64_t all = source.chunk_count(), held_out = std::max<int64_t>(1, all / 4);
  const int64_t used = std::min(all - held_out, chunks_that_fit(sites, source));
  if (used < 1) return layers;
  LayerResults corrected =
      corrected_biases(model, sites, activations, layers, source, used, options.threads);
  const int64_t first = all - held_out, last = std::min(all, first + std::max<int64_t>(used, 1));
  const Model before = insert_qdq(model, sites, activations, layers),
              after = insert_qdq(model, sites, activations, corrected);
  const double was = output_distance(model, before, source, first, last, options.threads);
  const double now = output_distance(model, after, source, first, last, options.threads);
  kept = now < was;
  log(LogLevel::kDebug, cat("bias correction: output distance ", was, " before, ", now, " after"));
  return kept ? corrected : layers;
}

void describe(Quantized& result, const Model& model, const Sites& sites, const QuantPlan& plan,
              const LayerResults& layers, bool corrected) {
  for (const LayerSite& site : sites.layers) {
    const LayerChoice* choice = plan.layer(site.name);
    if (!site.reason.empty()) {
      result.float_layers.emplace_back(site.name, site.reason);
    } else if (!layers.contains(site.name)) {
      result.float_layers.emplace_back(site.name, choice && !choice->reason.empty()
                                                      ? choice->reason
                                                      : "the plan keeps it in float");
    } else {
      const LayerResult& layer = layers.at(site.name);
      const Tensor& weight = *model.graph.constant(model.graph.find(site.weight));
      result.layers.push_back(
          {site.name, site.type, choice->method, layer.bits, plan.activation_bits.at(site.input),
           weight_sqnr(weight, site, layer), corrected && !layer.bias.empty(), layer.note});
    }
  }
  for (const NodeSite& node : sites.nodes)
    if (!node.reason.empty()) result.float_layers.emplace_back(node.name, node.reason);
}

void set_metadata(Model& model, const std::string& key, const std::string& value) {
  std::erase_if(model.metadata, [&](const auto& item) { return item.first == key; });
  model.metadata.emplace_back(key, value);
}

}  // namespace

Quantized quantize_model(const Model& model, const Sites& sites, const QuantPlan& plan,
                         const CalibrationTable& table, const SampleSource* source,
                         const QuantizeOptions& options) {
  (void)find_target(options.target);
  if (options.export_style != "qdq") {
    throw Error(ErrorKind::kUsage, "QT-E122",
                cat("export style '", printable(options.export_style), "' is not available"))
        .hint("use --export qdq");
  }
  const ActivationParams activations = activation_params(sites, plan, table);
  LayerResults layers = quantize_weights(model, sites, plan, table, activations, options);
  bool corrected = false;
  if (options.bias_correction && source && !layers.empty()) {
    layers = correct(model, sites, activations, layers, *source, options, corrected);
  }
  for (auto& [name, layer] : layers) {
    const LayerSite& site = *sites.layer(name);
    const auto input = activations.find(site.input);
    if (input != activations.end())
      repair_bias_overflow(layer, site, *model.graph.constant(model.graph.find(site.weight)),
                           input->second);
  }
  Quantized result;
  result.model = insert_qdq(model, sites, activations, layers);
  set_metadata(result.model, "qtool.version", std::string(kVersion));
  set_metadata(result.model, "qtool.plan", plan.source);
  if (!options.provenance.empty()) set_metadata(result.model, "qtool.options", options.provenance);
  lint_export(result.model, options.target);
  describe(result, model, sites, plan, layers, corrected);
  const PlanCost cost = plan_cost(plan, sites, model);
  result.mean_weight_bits = cost.mean_weight_bits;
  result.bits_per_weight = cost.bits_per_weight;
  result.fused_nodes = predict_fused(result.model, options.target);
  return result;
}

}  // namespace qtool
