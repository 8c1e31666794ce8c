#include "quantize/export/dynamic_nodes.hpp"

#include <algorithm>

#include "graph/append_node.hpp"

namespace qtool::qdq {

ValueId DynamicNodes::node(const std::string& name, const char* type, std::vector<ValueId> inputs,
                           DType dtype, const std::optional<Shape>& shape) {
  return append_node(g_, name, type, std::move(inputs), dtype, shape);
}

DynamicNodes::Codes DynamicNodes::codes_of(ValueId input, ActivationMode mode) {
  const auto found = codes_.find({input, mode});
  if (found != codes_.end()) return found->second;
  const Codes codes =
      mode == ActivationMode::kToken ? codes_of_rows(input) : codes_of_tensor(input);
  codes_.emplace(std::pair{input, mode}, codes);
  return codes;
}

DynamicNodes::Codes DynamicNodes::codes_of_tensor(ValueId input) {
  const std::string name = g_.value(input).name;
  const auto shape = g_.value(input).shape;
  const Codes codes{add_value(g_, name + "_quantized", DType::kUint8, shape),
                    add_value(g_, name + "_scale", DType::kFloat, Shape{}),
                    add_value(g_, name + "_zero_point", DType::kUint8, Shape{})};
  g_.nodes.push_back(make_node(g_, name + "_DynamicQuantizeLinear", "DynamicQuantizeLinear",
                               {input}, {codes.codes, codes.scale, codes.zero_point}));
  return codes;
}

DynamicNodes::Codes DynamicNodes::codes_of_rows(ValueId input) {
  constexpr int64_t kAxesAreInputs = 18;                // of ReduceMax
  constexpr float kLargestCode = 127, kLeast = 1e-30f;  // rows of zeros have a scale, too
  const std::string name = g_.value(input).name;
  const auto shape = g_.value(input).shape;
  std::optional<Shape> rows = shape;
  if (rows && !rows->empty()) rows->back() = 1;
  const ValueId sizes = node(name + "_sizes", "Abs", {input}, DType::kFloat, shape);
  std::vector<ValueId> inputs = {sizes};
  if (opset_ >= kAxesAreInputs)
    inputs.push_back(add_initializer(g_, name + "_axes", Tensor::of<int64_t>({1}, {int64_t{-1}})));
  const ValueId largest = node(name + "_largest", "ReduceMax", inputs, DType::kFloat, rows);
  if (opset_ < kAxesAreInputs) set_attribute(g_.nodes.back(), "axes", std::vector<int64_t>{-1});
  set_attribute(g_.nodes.back(), "keepdims", int64_t{1});
  const ValueId least = add_initializer(g_, name + "_least", Tensor::scalar(kLeast)),
                code = add_initializer(g_, name + "_largest_code", Tensor::scalar(kLargestCode)),
                range = node(name + "_range", "Max", {largest, least}, DType::kFloat, rows),
                scale = node(name + "_scale", "Div", {range, code}, DType::kFloat, rows),
                steps = node(name + "_steps", "Div", {input, scale}, DType::kFloat, shape),
                whole = node(name + "_rounded", "Round", {steps}, DType::kFloat, shape),
                codes = node(name + "_quantized", "Cast", {whole}, DType::kInt8, shape);
  set_attribute(g_.nodes.back(), "to", static_cast<int64_t>(DType::kInt8));
  const ValueId zero = add_initializer(g_, name + "_zero_point", Tensor::scalar<int8_t>(int8_t{0}));
  return {codes, scale, zero};
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
  const Codes x = codes_of(old.inputs[0], layer.mode);
  const auto shape = g_.value(old.outputs[0]).shape;
  const ValueId zero =
      add_initializer(g_, site.weight + "_zero_point", Tensor::scalar<int8_t>(int8_t{0}));
  const ValueId sums = add_value(g_, site.name + "_sums", DType::kInt32, shape);
  Node product = make_node(g_, site.name, site.dense ? "MatMulInteger" : "ConvInteger",
                           {x.codes, weight_codes(site, layer), x.zero_point, zero}, {sums});
  product.name = old.name;
  if (!site.dense) product.attributes = old.attributes;
  g_.nodes.push_back(std::move(product));
  ValueId real = node(site.name + "_sums_float", "Cast", {sums}, DType::kFloat, shape);
  set_attribute(g_.nodes.back(), "to", static_cast<int64_t>(DType::kFloat));
  // Convolutions have channels on axis 1, before the spatial ones.
  Shape by_channel = {site.channels};
  if (!site.dense) by_channel.resize(static_cast<size_t>(layer.weight.codes.rank()) - 1, 1);
  const QuantizedWeight weight = quantized_weight(site, layer, layer.weight.codes.dtype());
  const bool one = weight.scale.rank() == 0;
  ValueId scale = add_initializer(g_, site.weight + "_scale",
                                  one ? weight.scale : weight.scale.reshaped(by_channel));
  // Rows first, then channels: onnxruntime (1.31) fuses a product of both scales into MatMulIntegerToFloat,
  // which takes one scale for all rows.
  if (layer.mode == ActivationMode::kToken)
    real = node(site.name + "_rows", "Mul", {real, x.scale}, DType::kFloat, shape);
  else
    scale = node(site.name + "_scale", "Mul", {x.scale, scale}, DType::kFloat,
                 one ? Shape() : by_channel);
  const bool biased = !layer.bias.empty();
  const ValueId scaled =
      biased ? add_value(g_, site.name + "_scaled", DType::kFloat, shape) : old.outputs[0];
  g_.nodes.push_back(make_node(g_, site.name + "_Mul", "Mul", {real, scale}, {scaled}));
  if (!biased) return;
  const ValueId bias =
      weights_.bias(site.bias.empty() ? site.name + "_bias" : site.bias, layer, by_channel,
                    [&](std::span<const float> values) {
                      return Tensor::of<float>(by_channel, {values.begin(), values.end()});
                    });
  g_.nodes.push_back(make_node(g_, site.name + "_Add", "Add", {scaled, bias}, {old.outputs[0]}));
}

}  // namespace qtool::qdq
