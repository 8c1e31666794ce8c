// Where activations get their parameters at run time.
#include <algorithm>

#include "qtool/plan.hpp"

namespace qtool {

std::string why_not_dynamic(const Model& model, const LayerSite& site, const LayerChoice& choice) {
  if (!site.float_input.empty()) return site.float_input;
  if (!site.column_product) return "its product has no integer form of its own";
  const Tensor& weight = *model.graph.constant(model.graph.find(site.weight));
  if (site.dense ? !site.matrix : weight.rank() < 3) return "its weight is no matrix";
  if (choice.scale_block != kChannelScale) return "its weight has scales in blocks";
  if (subgroup_of(parse_format(choice.format)) != Subgroup::kChannel)
    return cat("format ", choice.format, " has no scale by channel alone");
  const auto node = std::find_if(model.graph.nodes.begin(), model.graph.nodes.end(),
                                 [&](const Node& n) { return n.name == site.name; });
  if (attr_float(*node, "alpha", 1) != 1 || attr_float(*node, "beta", 1) != 1 ||
      attr_int(*node, "transA", 0) != 0)
    return "its alpha, beta or transA is not the default";
  return "";
}

void set_dynamic(QuantPlan& plan, const Sites& sites, const Model& model) {
  for (auto& [name, bits] : plan.activation_bits) bits = kFloatBits;
  for (LayerChoice& layer : plan.layers) {
    const LayerSite& site = *sites.layer(layer.name);
    layer.dynamic = false;
    const bool wanted = layer.weight_bits != kFloatBits && layer.activation_bits != kFloatBits;
    layer.activation_bits = kFloatBits;
    if (!wanted) continue;
    const std::string why = why_not_dynamic(model, site, layer);
    layer.dynamic = why.empty();
    if (layer.dynamic) {
      layer.activation_bits = 8;
    } else {
      log(LogLevel::kWarning, cat("layer '", printable(site.name), "' reads floats: ", why));
    }
  }
}

}  // namespace qtool
