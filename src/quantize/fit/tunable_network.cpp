#include "quantize/fit/tunable_network.hpp"

#include <algorithm>

namespace qtool::qdq {
namespace {

Node& producer_of(Graph& g, ValueId value) {
  for (Node& node : g.nodes)
    if (std::ranges::find(node.outputs, value) != node.outputs.end()) return node;
  throw_internal(cat("value '", printable(g.value(value).name), "' has no producer"));
}

Node& node_named(Graph& g, const std::string& name) {
  return *std::ranges::find_if(g.nodes, [&](const Node& n) { return n.name == name; });
}

// Whether every row has scales of its own that may take any value.
bool has_free_scales(const LayerResult& layer) {
  return layer.weight.channels_a_scale == 1 && !layer.weight.power_of_two_scales;
}

}  // namespace

TunableNetwork::TunableNetwork(const Model& model, const Sites& sites, const QuantPlan& plan,
                               const ActivationParams& activations, const LayerResults& layers,
                               const std::set<std::string>& open)
    : model_(model) {
  std::map<std::string, int> users;
  for (const LayerSite& site : sites.layers)
    if (const auto it = layers.find(site.name); it != layers.end()) {
      if (!site.inside.empty())
        throw_unsupported(cat("layer '", printable(site.name), "' stands inside a body of '",
                              printable(site.inside), "', which has no gradient"));
      ++users[site.weight];
    }
  model_.opsets["qtool"] = 1;
  for (const LayerSite& site : sites.layers) {
    const auto it = layers.find(site.name);
    if (it != layers.end())
      add_layer(site, it->second, users[site.weight] > 1, open.contains(site.name));
  }
  const std::set<std::string> branches = branch_values(sites, activations);
  for (const ActivationSite& site : sites.activations) {
    const auto it = activations.find(site.name);
    if (it == activations.end()) continue;
    const bool same = !site.shares_with.empty() && plan.activation_bits.at(site.shares_with) ==
                                                       plan.activation_bits.at(site.name);
    scale_leader_[site.name] = same ? scale_leader_.at(site.shares_with) : site.name;
    const bool free =
        !site.fixed_range && !plan.style.power_of_two_scales && !branches.contains(site.name);
    if (scale_leader_[site.name] == site.name) {
      const Tensor start = Tensor::of<float>({}, {it->second.scale[0]});
      scales_[site.name] = free ? add_knob(Knob::Kind::kScale, site.name, start)
                                : add_initializer(model_.graph, site.name + "_fixed_scale", start);
    }
    add_activation(site, it->second);
  }
  sort_nodes(model_.graph);
  verify(model_.graph);
}

ValueId TunableNetwork::add_knob(Knob::Kind kind, const std::string& of, Tensor start, bool dense) {
  static constexpr std::string_view kEnding[] = {"_gain", "_shift", "_step", "_open"};
  Graph& g = model_.graph;
  const ValueId input =
      add_value(g, cat(of, kEnding[static_cast<size_t>(kind)]), DType::kFloat, start.shape());
  g.inputs.push_back(input);
  knobs_.push_back({kind, g.value(input).name, of, std::move(start), dense});
  return input;
}

void TunableNetwork::add_layer(const LayerSite& site, const LayerResult& layer, bool shared,
                               bool open) {
  Graph& g = model_.graph;
  const Tensor real = dequantized(layer.weight, site.channel_axis);
  const ValueId weight = open && !shared ? add_knob(Knob::Kind::kWeight, site.name, real)
                                         : add_initializer(g, site.weight + "_real", real);
  {
    Node& node = node_named(g, site.name);
    for (size_t i = 1; i < node.inputs.size(); ++i) {
      if (node.inputs[i] != ValueId::kNone && g.value(node.inputs[i]).name == site.weight)
        node.inputs[i] = weight;
    }
  }
  if (!layer.bias.empty()) {
    const ValueId bias = add_initializer(g, site.name + "_real_bias",
                                         Tensor::of<float>({site.channels}, layer.bias));
    Node& node = node_named(g, site.name);
    if (node.inputs.size() < 3) node.inputs.resize(3, ValueId::kNone);
    node.inputs[2] = bias;
  }
  const bool gained = has_free_scales(layer) && !shared;
  if (!gained && !site.takes_bias) return;
  // gain · raw + shift takes the output's name.
  const ValueId output = node_named(g, site.name).outputs[0];
  const ValueId raw =
      add_value(g, g.value(output).name + "_raw", DType::kFloat, g.value(output).shape);
  node_named(g, site.name).outputs[0] = raw;
  raw_outputs_[site.name] = g.value(raw).name;
  Tensor ones = Tensor::uninitialized(DType::kFloat, {site.channels});
  std::ranges::fill(ones.mutable_data<float>(), 1.f);
  const ValueId gain =
      gained ? add_knob(Knob::Kind::kGain, site.name, std::move(ones), site.dense) : ValueId::kNone;
  const ValueId shift = site.takes_bias
                            ? add_knob(Knob::Kind::kShift, site.name,
                                       Tensor(DType::kFloat, {site.channels}), site.dense)
                            : ValueId::kNone;
  g.nodes.push_back(make_node(g, site.name + "_ChannelAffine", "ChannelAffine", {raw, gain, shift},
                              {output}, {{"axis", int64_t{site.dense ? -1 : 1}, ""}}));
  g.nodes.back().domain = "qtool";
}

void TunableNetwork::add_activation(const ActivationSite& site, const ActivationCodes& codes) {
  Graph& g = model_.graph;
  const ValueId value = g.find(site.name);
  const ValueId scale = scales_.at(scale_leader_.at(site.name));
  const auto shape = g.value(value).shape;
  const bool is_output =
      site.readers.empty() && std::ranges::find(g.outputs, value) != g.outputs.end();
  const ValueId other =
      add_value(g, site.name + (is_output ? "_float" : "_rounded"), DType::kFloat, shape);
  const ValueId from = is_output ? other : value, to = is_output ? value : other;
  if (is_output) {
    Node& producer = producer_of(g, value);
    std::ranges::replace(producer.outputs, value, from);
  } else if (site.readers.empty()) {
    replace_uses(g, from, to, OutputUses::kKeep);
  } else {
    for (Node& node : g.nodes)
      if (site.readers.contains(node.name)) std::ranges::replace(node.inputs, from, to);
  }
  if (!codes.branch) return round(site.name, from, to, scale, codes);
  // The branch's parameters stay.
  const ValueId fixed = add_initializer(g, site.name + "_branch_scale",
                                        Tensor::of<float>({}, {codes.branch->scale[0]}));
  round(site.name + "_branch", from, to, fixed, *codes.branch);
  const ValueId read = add_value(g, site.name + "_read", DType::kFloat, shape);
  for (Node& node : g.nodes)
    if (site.layers.contains(node.name)) std::ranges::replace(node.inputs, to, read);
  round(site.name, to, read, scale, codes);
}

void TunableNetwork::round(const std::string& name, ValueId from, ValueId to, ValueId scale,
                           const QParams& p) {
  Graph& g = model_.graph;
  g.nodes.push_back(make_node(g, name + "_FakeQuantize", "FakeQuantize", {from, scale}, {to},
                              {{"low", int64_t{p.code_min[0]} - p.zero_point[0], ""},
                               {"high", int64_t{p.code_max[0]} - p.zero_point[0], ""}}));
  g.nodes.back().domain = "qtool";
}

void TunableNetwork::apply(std::span<const Tensor> values, LayerResults& layers,
                           ActivationParams& activations) const {
  for (size_t k = 0; k < knobs_.size(); ++k) {
    const Knob& knob = knobs_[k];
    if (knob.kind == Knob::Kind::kWeight) continue;
    const auto value = values[k].data<float>();
    if (knob.kind == Knob::Kind::kScale) {
      for (const auto& [name, leader] : scale_leader_)
        if (leader == knob.of) activations.at(name).scale[0] = value[0];
      continue;
    }
    LayerResult& layer = layers.at(knob.of);
    if (knob.kind == Knob::Kind::kGain) {
      WeightCodes& weight = layer.weight;
      const size_t each = weight.scales.size() / value.size();
      for (size_t i = 0; i < weight.scales.size(); ++i) weight.scales[i] *= value[i / each];
      for (size_t r = 0; r < weight.row_scales.size(); ++r) weight.row_scales[r] *= value[r];
      for (size_t c = 0; c < layer.bias.size(); ++c) layer.bias[c] *= value[c];
    } else {
      layer.bias.resize(value.size(), 0.f);
      for (size_t c = 0; c < value.size(); ++c) layer.bias[c] += value[c];
    }
  }
}

}  // namespace qtool::qdq
