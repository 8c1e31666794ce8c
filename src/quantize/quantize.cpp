#include "qtool/quantize.hpp"

#include <algorithm>
#include <cmath>

#include "graph/subgraphs.hpp"
#include "qtool/onnx.hpp"
#include "quantize/internal.hpp"

namespace qtool {
namespace {

using namespace qdq;

double weight_sqnr(const Tensor& weight, const LayerSite& site, const LayerResult& layer) {
  const Tensor back = dequantized(layer.weight, site.channel_axis);
  const auto want = weight.data<float>(), have = back.data<float>();
  double signal = 0, noise = 0;
  for (size_t k = 0; k < want.size(); ++k) {
    const double w = want[k], e = w - have[k];
    signal += w * w;
    noise += e * e;
  }
  weight.drop_pages();
  return noise > 0 ? 10 * std::log10(signal / noise) : 200;
}

// Whether a layer is to be fitted, or has a bias to correct.
bool needs_sequence(const Sites& sites, const QuantPlan& plan, const QuantizeOptions& options) {
  return std::ranges::any_of(plan.layers, [&](const LayerChoice& choice) {
    if (choice.weight_bits == kFloatBits) return false;
    return (options.bias_correction && sites.layer(choice.name)->takes_bias) ||
           find_optimizer(choice.method).needs_moments;
  });
}

void describe(Quantized& result, const Model& model, const Sites& sites, const QuantPlan& plan,
              const LayerResults& layers, const std::set<std::string>& corrected) {
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
                               corrected.contains(site.name) && !layer.bias.empty(), layer.note});
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
    if (!choice.dynamic()) continue;
    const std::string why = why_not_dynamic(model, *sites.layer(choice.name), choice);
    if (why.empty()) continue;
    throw Error(ErrorKind::kUsage, "QT-E137",
                cat("layer '", printable(choice.name), "' cannot be dynamic: ", why))
        .hint("take its activation_mode out of the plan");
  }
}

// In the graph and in the bodies that its nodes carry.
int64_t constant_bytes(const Graph& graph) {
  int64_t bytes = 0;
  for (const auto& [id, constant] : graph.initializers) bytes += constant.data.bytes();
  for (const Node& node : graph.nodes)
    for (const Graph* body : subgraphs_of(node)) bytes += constant_bytes(*body);
  return bytes;
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
  ActivationParams activations = activation_params(sites, plan, table, options.threads);
  const LayerResults stored = quantize_stored(model, sites, plan, table, options);
  const auto fit = [&](const QuantPlan& step, const QuantizeOptions& how,
                       ActivationParams& params) {
    return source && needs_sequence(sites, step, how)
               ? fit_network(model, sites, step, table, params, stored, *source, how)
               : Fitted{quantize_weights(model, sites, step, table, params, how), {}};
  };
  Fitted fitted;
  LayerResults layers = fit_widths(
      plan, options,
      [&](const QuantPlan& step, const QuantizeOptions& how) {
        ActivationParams same = activations;
        return fit(step, how, same).layers;
      },
      [&](const QuantPlan& whole, const QuantizeOptions& how) {
        fitted = fit(whole, how, activations);
        return std::move(fitted.layers);
      });
  for (auto& [name, layer] : layers) {
    const LayerSite& site = *sites.layer(name);
    if (const QParams* input = input_params(site, activations))
      repair_bias_overflow(layer, site, *input);
  }
  layers.insert(stored.begin(), stored.end());
  Quantized result;
  result.model = insert_qdq(model, sites, activations, layers, style);
  result.fused_nodes = predict_fused(result.model, options.target);
  if (style.rewrite) result.model = style.rewrite(result.model);
  if (style.describes) {
    Described described = describe_float(model, sites, activations, layers);
    result.model = std::move(described.model);
    result.encodings = std::move(described.json);
  }
  set_metadata(result.model, "qtool.version", std::string(kVersion));
  set_metadata(result.model, "qtool.plan", plan.source);
  if (!options.provenance.empty()) set_metadata(result.model, "qtool.options", options.provenance);
  lint_export(result.model, model, options.target);
  if (!options.bias_correction) fitted.kept.clear();
  describe(result, model, sites, plan, layers, fitted.kept);
  result.steps = std::move(fitted.steps);
  const PlanCost cost = plan_cost(plan, sites, model, style.storage);
  result.stored_bytes = constant_bytes(result.model.graph);
  if (plan.most_bytes > 0 && result.stored_bytes > plan.most_bytes) {
    throw Error(ErrorKind::kInfeasible, "QT-E504",
                cat("the written weights take ", result.stored_bytes, " bytes and the plan allows ",
                    plan.most_bytes))
        .hint(cat("the search counted what --export ", plan.export_style,
                  " stores: write that, or search with --export ", style.name));
  }
  result.mean_weight_bits = cost.mean_weight_bits;
  result.bits_per_weight = cost.bits_per_weight;
  return result;
}

}  // namespace qtool
