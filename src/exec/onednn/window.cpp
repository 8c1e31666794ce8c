#include "exec/onednn/window.hpp"

#include <algorithm>

#include "ops/conv_transpose.hpp"

namespace qtool::onednn {
namespace {

bool is_empty(const Shape& shape) {
  return std::ranges::any_of(shape, [](int64_t d) { return d <= 0; });
}

// Weights as oneDNN counts them: groups are a dimension of their own.
Shape grouped(Shape weights, int64_t groups) {
  if (groups == 1) return weights;
  weights[0] /= groups;
  weights.insert(weights.begin(), groups);
  return weights;
}

}  // namespace

ConvShape conv_shape(const Node& node, const Shape& input, const Shape& weights) {
  ConvShape s;
  const int64_t groups = attr_int(node, "group", 1);
  if (weights.size() != input.size()) {
    throw_model("QT-E332", cat(node_text(node), ": input ", shape_text(input), " and weight ",
                               shape_text(weights), " differ in rank"));
  }
  const Window window = resolve_window(node, input, Shape(weights.begin() + 2, weights.end()));
  if (groups < 1 || input[1] != weights[1] * groups || weights[0] % groups != 0) {
    throw_model("QT-E332", cat(node_text(node), ": input ", shape_text(input), " and weight ",
                               shape_text(weights), " do not fit with group ", groups));
  }
  if (is_empty(input) || is_empty(weights)) return s;
  s.output = {input[0], weights[0]};
  s.output.insert(s.output.end(), window.output.begin(), window.output.end());
  s.weights = grouped(weights, groups);
  s.strides = window.strides;
  s.pads_begin = window.pads_begin;
  s.pads_end = window.pads_end;
  for (int64_t d : window.dilations) s.dilations.push_back(d - 1);
  return s;
}

bool is_column(const ConvShape& s, const Shape& input) {
  return input.size() == 4 && input[3] == 1 && input[2] > 1 && s.output[3] == 1 &&
         s.weights.back() == 1 && s.pads_begin[1] == 0 && s.pads_end[1] == 0;
}

void turn(Shape& shape) { std::swap(shape[shape.size() - 2], shape.back()); }

void turn(ConvShape& s) {
  for (Shape* list : {&s.output, &s.weights, &s.strides, &s.dilations, &s.pads_begin, &s.pads_end})
    turn(*list);
}

Descriptor upright(const Descriptor& descriptor, bool turned) {
  return turned ? descriptor.permute_axes({0, 1, 3, 2}) : descriptor;
}

Shape upright(Shape shape, bool turned) {
  if (turned) turn(shape);
  return shape;
}

ConvShape transposed_shape(const Node& node, int64_t opset, const Shape& input,
                           const Shape& weights) {
  const auto [window, groups, filters] = transposed_window(Call{node, opset, {}}, input, weights);
  ConvShape s;
  if (is_empty(input) || is_empty(weights)) return s;
  s.output = input;
  s.input = {input[0], filters * groups};
  s.input.insert(s.input.end(), window.output.begin(), window.output.end());
  s.weights = grouped(weights, groups);
  s.strides = window.strides;
  s.pads_begin = window.pads_begin;
  for (size_t d = 0; d < window.kernel.size(); ++d) {
    s.dilations.push_back(window.dilations[d] - 1);
    // output_padding may look past the padding: what oneDNN wants follows from the sizes.
    const int64_t reach = (window.kernel[d] - 1) * window.dilations[d] + 1;
    s.pads_end.push_back((window.input[d] - 1) * window.strides[d] + reach - window.output[d] -
                         window.pads_begin[d]);
  }
  return s;
}

dnnl::convolution_forward::primitive_desc convolution_descriptor(
    const ConvShape& s, const Descriptor& source, const Descriptor& weights, const Descriptor& bias,
    const Descriptor& result, const dnnl::primitive_attr& attr) {
  const auto kind = dnnl::prop_kind::forward_inference;
  const auto algorithm = dnnl::algorithm::convolution_direct;
#if DNNL_VERSION_MAJOR >= 3
  return {engine(), kind,      algorithm,   source,       weights,    bias,
          result,   s.strides, s.dilations, s.pads_begin, s.pads_end, attr};
#else
  const dnnl::convolution_forward::desc desc(kind, algorithm, source, weights, bias, result,
                                             s.strides, s.dilations, s.pads_begin, s.pads_end);
  return {desc, attr, engine()};
#endif
}

}  // namespace qtool::onednn
