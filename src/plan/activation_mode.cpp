// Where activations get their parameters at run time.
#include <algorithm>
#include <array>

#include "graph/subgraphs.hpp"
#include "qtool/plan.hpp"

namespace qtool {
namespace {

constexpr std::array<std::string_view, 3> kModes = {"static", "dynamic", "token"};

bool reads_codes(const LayerChoice& layer) {
  return layer.weight_bits != kFloatBits && layer.activation_bits != kFloatBits;
}

void settle(LayerChoice& layer, const LayerSite& site, const Model& model) {
  if (layer.activation_bits != 8)
    throw Error(ErrorKind::kUsage, "QT-E133",
                cat("layer '", printable(layer.name), "': ", layer.activation_bits,
                    " bits; activations whose ranges are found at run time have 8"));
  const std::string why = why_not_dynamic(model, site, layer);
  if (!why.empty()) {
    log(LogLevel::kWarning, cat("layer '", printable(site.name), "' reads floats: ", why));
    layer.mode = ActivationMode::kStatic;
    layer.activation_bits = kFloatBits;
  }
}

}  // namespace

std::span<const std::string_view> activation_modes() { return kModes; }
std::string_view activation_mode_name(ActivationMode mode) {
  return kModes[static_cast<size_t>(mode)];
}
std::optional<ActivationMode> find_activation_mode(std::string_view name) {
  const auto at = std::ranges::find(kModes, name);
  if (at == kModes.end()) return std::nullopt;
  return static_cast<ActivationMode>(at - kModes.begin());
}

std::string why_not_dynamic(const Model& model, const LayerSite& site, const LayerChoice& choice) {
  if (!site.float_input.empty()) return site.float_input;
  if (!site.column_product) return "its product has no integer form of its own";
  const Tensor& weight = *model.graph.constant(model.graph.find(site.weight));
  if (site.dense ? !site.matrix : weight.rank() < 3) return "its weight is no matrix";
  if (choice.mode == ActivationMode::kToken && !site.dense)
    return "a convolution has no rows: ask for one range a tensor";
  if (choice.scale.block > 0) return "its weight has scales in blocks";
  const WeightFormat format = parse_format(choice.format);
  if (subgroup_of(format) != Subgroup::kChannel)
    return cat("format ", choice.format, " has no scale by channel alone");
  if (format.def->of == CodebookOf::kType)
    return cat("codes of format ", choice.format, " are no whole numbers");
  if (!runs_on_integers(format, choice.weight_bits))
    return cat("format ", choice.format, " of ", choice.weight_bits, " bits computes in float");
  const Node* node = find_node(model.graph, site.name);
  if (attr_float(*node, "alpha", 1) != 1 || attr_float(*node, "beta", 1) != 1 ||
      attr_int(*node, "transA", 0) != 0)
    return "its alpha, beta or transA is not the default";
  return "";
}

void settle_activation_modes(QuantPlan& plan, const Sites& sites, const Model& model) {
  std::map<std::string, ActivationMode> at_run_time;  // by the values that such layers read
  bool any_static = false;
  for (LayerChoice& layer : plan.layers) {
    if (!reads_codes(layer)) layer.mode = ActivationMode::kStatic;
    if (layer.dynamic())
      at_run_time.emplace(sites.owner_of(sites.layer(layer.name)->input), layer.mode);
    else
      any_static |= reads_codes(layer);
  }
  if (at_run_time.empty()) return;
  for (LayerChoice& layer : plan.layers) {
    const LayerSite& site = *sites.layer(layer.name);
    const auto mode = at_run_time.find(sites.owner_of(site.input));
    if (mode == at_run_time.end() || !reads_codes(layer)) continue;
    if (!layer.dynamic()) layer.mode = mode->second;
    if (!site.dense) layer.mode = ActivationMode::kDynamic;
    settle(layer, site, model);
  }
  // Without a layer that reads static codes none are made.
  for (auto& [name, bits] : plan.activation_bits)
    if (!any_static) bits = kFloatBits;
  for (const ActivationSite& site : sites.activations) {
    if (at_run_time.contains(site.owner())) plan.activation_bits[site.name] = kFloatBits;
  }
}

}  // namespace qtool
