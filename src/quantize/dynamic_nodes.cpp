#include "quantize/dynamic_nodes.hpp"

#include <algorithm>

namespace qtool::qdq {

ValueId DynamicNodes::node(const std::string& name, const char* type, std::vector<ValueId> inputs,
                           DType dtype, const std::optional<Shape>& shape) {
  const ValueId out = add_value(g_, name, dtype, shape);
  g_.nodes.push_back(
      make_node(g_, cat(g_.value(out).name, "_", type), type, std::move(inputs), {out}));
  return out;
}

const DynamicNodes::Codes& DynamicNodes::codes_of(ValueId input) {
  const auto found = codes_.find(input);
  if (found != codes_.end()) return found->second;
  const std::string name = g_.value(input).name;
  const auto shape = g_.value(input).shape;
  const Codes codes{add_value(g_, name + "_quantized", DType::kUint8, shape),
                    add_value(g_, name + "_scale", DType::kFloat, Shape{}),
                    add_value(g_, name + "_zero_point", DType::kUint8, Shape{})};
  g_.nodes.push_back(make_node(g_, name + "_DynamicQuantizeLinear", "DynamicQuantizeLinear",
                               {input}, {codes.codes, codes.scale, codes.zero_point}));
  return codes_.emplace(input, codes).first->second;
}

// int8, output channels last for products of matrices.
ValueId DynamicNodes::weight_codes(const LayerSite& site, const LayerResult& layer) {
  const ValueId codes = weights_.byte_codes(site, layer);
  if (!site.dense || site.channel_axis != 0) return codes;
  Shape turned = layer.weight.codes.shape();
  std::reverse(turned.begin(), turned.end());
  return node(site.weight + "_turned", "Transpose", {codes}, DType::kInt8, turned);
}

void DynamicNodes::replace(const LayerSite& site, const LayerResult& layer) {
  const auto at = std::find_if(g_.nodes.begin(), g_.nodes.end(),
                               [&](const Node& n) { return n.name == site.name; });
  const Node old = *at;
  g_.nodes.erase(at);
  const Codes x = codes_of(old.inputs[0]);
  const auto shape = g_.value(old.outputs[0]).shape;
  const ValueId zero =
      add_initializer(g_, site.weight + "_zero_point", Tensor::scalar<int8_t>(int8_t{0}));
  const ValueId sums = add_value(g_, site.name + "_sums", DType::kInt32, shape);
  Node product = make_node(g_, site.name, site.dense ? "MatMulInteger" : "ConvInteger",
                           {x.codes, weight_codes(site, layer), x.zero_point, zero}, {sums});
  product.name = old.name;
  if (!site.dense) product.attributes = old.attributes;
  g_.nodes.push_back(std::move(product));
  const ValueId real = node(site.name + "_sums_float", "Cast", {sums}, DType::kFloat, shape);
  set_attribute(g_.nodes.back(), "to", static_cast<int64_t>(DType::kFloat));
  // Convolutions have channels on axis 1, before the spatial ones.
  Shape by_channel = {site.channels};
  if (!site.dense) by_channel.resize(static_cast<size_t>(layer.weight.codes.rank()) - 1, 1);
  const ValueId weight_scale = add_initializer(g_, site.weight + "_scale",
                                               Tensor::of<float>(by_channel, layer.weight.scales));
  const ValueId scale =
      node(site.name + "_scale", "Mul", {x.scale, weight_scale}, DType::kFloat, by_channel);
  const bool biased = !layer.bias.empty();
  const ValueId scaled =
      biased ? add_value(g_, site.name + "_scaled", DType::kFloat, shape) : old.outputs[0];
  g_.nodes.push_back(make_node(g_, site.name + "_Mul", "Mul", {real, scale}, {scaled}));
  if (!biased) return;
  const ValueId bias = add_initializer(g_, cat(site.bias.empty() ? site.name + "_bias" : site.bias),
                                       Tensor::of<float>(by_channel, layer.bias));
  g_.nodes.push_back(make_node(g_, site.name + "_Add", "Add", {scaled, bias}, {old.outputs[0]}));
}

}  // namespace qtool::qdq
