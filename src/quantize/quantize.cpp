#include "qtool/quantize.hpp"

#include <algorithm>
#include <cmath>

#include "qtool/onnx.hpp"
#include "quantize/internal.hpp"

namespace qtool {
namespace {

using namespace qdq;

double weight_sqnr(const Tensor& weight, const LayerSite& site, const LayerResult& layer) {
  const Tensor back = dequantized(layer.weight, site.channel_axis);
  double signal = 0, noise = 0;
  for (int64_t i = 0; i < weight.size(); ++i) {
    const auto k = static_cast<size_t>(i);
    const double w = weight.data<float>()[k], e = w - back.data<float>()[k];
    signal += w * w;
    noise += e * e;
  }
  return noise > 0 ? 10 * std::log10(signal / noise) : 200;
}

// Samples that no layer is optimised on: at most this many, and an eighth.
constexpr int64_t kMostHeldOut = 32;
// Samples that tell which of two networks is better, fitted ones among them where few are held out.
constexpr int64_t kLeastJudged = 8;

// Layers optimised in sequence on most chunks, kept when the outputs of held-out chunks are closer to
// float than those of layers that were each rounded by themselves.
LayerResults optimize(const Model& model, const Sites& sites, const QuantPlan& plan,
                      const CalibrationTable& table, const ActivationParams& activations,
                      const LayerResults& stored, const SampleSource& source,
                      const QuantizeOptions& options, bool& kept) {
  const LayerResults plain = quantize_weights(model, sites, plan, table, activations, options);
  const int64_t chunks = source.chunk_count();
  const int64_t per_chunk = std::max<int64_t>(1, source.samples() / std::max<int64_t>(chunks, 1));
  const int64_t held_out =
      std::clamp<int64_t>(std::min(chunks / 8, kMostHeldOut / per_chunk), 1, chunks);
  if (plain.empty()) return plain;
  if (chunks <= held_out) {
    log(LogLevel::kWarning, cat("too few samples (", source.samples(),
                                ") to fit weights and hold some out: they are rounded to nearest; "
                                "calibrate with more data"));
    return plain;
  }
  LayerResults optimized = optimize_in_sequence(model, sites, plan, table, activations, stored,
                                                source, chunks - held_out, options);
  // Biases alone may add noise and yet bring answers back; for fitted weights the answers to a few easy
  // samples say less than the noise.
  const bool fitted = std::any_of(optimized.begin(), optimized.end(), [](const auto& layer) {
    return find_optimizer(layer.second.weight.method).needs_moments;
  });
  const Distance kind = fitted ? Distance::kNoise : Distance::kDivergence;
  // One or two samples say little about two networks; samples with that much data are not overfitted.
  const int64_t judged =
      std::min(chunks, std::max(held_out, (kLeastJudged + per_chunk - 1) / per_chunk));
  const OutputReference reference(model, source, chunks - judged, chunks, options.threads);
  const auto distance = [&](LayerResults layers) {
    layers.insert(stored.begin(), stored.end());
    return reference.distance(insert_qdq(model, sites, activations, layers), kind);
  };
  const double before = distance(plain), after = distance(optimized);
  kept = after < before;
  log(LogLevel::kDebug,
      cat("optimised in sequence: held-out distance ", before, " before, ", after, " after"));
  if (!kept)
    log(fitted ? LogLevel::kWarning : LogLevel::kInfo,
        cat("what was fitted layer by layer is further from float on held-out "
            "samples than plain rounding (",
            after, " against ", before, "), which is kept"));
  return kept ? optimized : plain;
}

bool needs_sequence(const QuantPlan& plan, const QuantizeOptions& options) {
  return options.bias_correction ||
         std::any_of(plan.layers.begin(), plan.layers.end(), [](const LayerChoice& choice) {
           return find_optimizer(choice.method).needs_moments;
         });
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
      result.layers.push_back({site.name, site.type, layer.weight.method, layer.bits,
                               plan.input_bits(site), weight_sqnr(weight, site, layer),
                               corrected && !layer.bias.empty(), layer.note});
    }
  }
  for (const StoredSite& site : sites.stored) {
    const LayerChoice* choice = plan.stored_weight(site.name);
    if (const auto at = layers.find(site.name); at != layers.end()) {
      const Tensor& weight = *model.graph.constant(model.graph.find(site.weight));
      result.layers.push_back({site.name, site.type, at->second.weight.method, at->second.bits,
                               kFloatBits, weight_sqnr(weight, site, at->second), false, ""});
    } else {
      result.float_layers.emplace_back(site.name, !site.reason.empty() ? site.reason
                                                  : choice && !choice->reason.empty()
                                                      ? choice->reason
                                                      : "the plan keeps it in float");
    }
  }
  const bool some = std::ranges::any_of(plan.activation_bits,
                                        [](const auto& a) { return a.second != kFloatBits; });
  for (const ActivationSite& site : sites.activations) {
    if (some && plan.activation_bits.at(site.name) == kFloatBits)
      result.float_layers.emplace_back(site.name, "the plan keeps this activation in float");
  }
  for (const NodeSite& node : sites.nodes)
    if (!node.reason.empty()) result.float_layers.emplace_back(node.name, node.reason);
}

// A plan may have been edited by hand.
void check_dynamic(const Model& model, const Sites& sites, const QuantPlan& plan) {
  for (const LayerChoice& choice : plan.layers) {
    if (!choice.dynamic) continue;
    const std::string why = why_not_dynamic(model, *sites.layer(choice.name), choice);
    if (why.empty()) continue;
    throw Error(ErrorKind::kUsage, "QT-E137",
                cat("layer '", printable(choice.name), "' cannot be dynamic: ", why))
        .hint("take its activation_mode out of the plan");
  }
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
  const ExportStyle& style = find_export_style(options.export_style);
  check_dynamic(model, sites, plan);
  const ActivationParams activations = activation_params(sites, plan, table);
  const LayerResults stored = quantize_stored(model, sites, plan, table, options);
  bool optimized = false;
  LayerResults layers =
      source && needs_sequence(plan, options)
          ? optimize(model, sites, plan, table, activations, stored, *source, options, optimized)
          : quantize_weights(model, sites, plan, table, activations, options);
  for (auto& [name, layer] : layers) {
    const LayerSite& site = *sites.layer(name);
    if (const QParams* input = input_params(site, activations))
      repair_bias_overflow(layer, site, *input);
  }
  layers.insert(stored.begin(), stored.end());
  Quantized result;
  result.model = insert_qdq(model, sites, activations, layers, style);
  set_metadata(result.model, "qtool.version", std::string(kVersion));
  set_metadata(result.model, "qtool.plan", plan.source);
  if (!options.provenance.empty()) set_metadata(result.model, "qtool.options", options.provenance);
  lint_export(result.model, options.target);
  describe(result, model, sites, plan, layers, optimized && options.bias_correction);
  const PlanCost cost = plan_cost(plan, sites, model);
  result.mean_weight_bits = cost.mean_weight_bits;
  result.bits_per_weight = cost.bits_per_weight;
  result.fused_nodes = predict_fused(result.model, options.target);
  return result;
}

}  // namespace qtool
