// Codes of com.microsoft: its quantizers, which took 16 and 4 bits before ONNX's did, and operators between two of them.
#include "passes/contrib_functions.hpp"

namespace qtool::passes::contrib {
namespace {

// The operator of ONNX with the same name, inputs and attributes.
Graph same(const Context& c, std::string_view type) {
  constexpr size_t kPoint = 2;
  Graph g = graph_of(c, "x, scale, point", "y", "",
                     cat("y = ", type, c.has(kPoint) ? " (x, scale, point)" : " (x, scale)"));
  g.nodes[0].attributes = c.node.attributes;
  return g;
}

// x, x_scale, x_zero_point, y_scale, y_zero_point: `node` makes z of the real numbers r.
Graph between(const Context& c, const std::string& node) {
  constexpr size_t kX = 2, kY = 4;
  return graph_of(c, "x, xs, xp, ys, yp", "y", "",
                  cat("r = DequantizeLinear(x, xs", c.has(kX) ? ", xp) " : ") ", node,
                      " y = QuantizeLinear(z, ys", c.has(kY) ? ", yp)" : ")"));
}

}  // namespace

std::optional<Graph> quantize(const Context& c) { return same(c, "QuantizeLinear"); }
std::optional<Graph> dequantize(const Context& c) { return same(c, "DequantizeLinear"); }

std::optional<Graph> sigmoid_of_codes(const Context& c) { return between(c, "z = Sigmoid(r)"); }

std::optional<Graph> leaky_relu_of_codes(const Context& c) {
  return between(
      c, cat("z = LeakyRelu <alpha: float = ", exact(attr_float(c.node, "alpha", 0.01f)), "> (r)"));
}

// Of one axis, as ONNX defines it since opset 13; in older models only where that is the last.
std::optional<Graph> softmax_of_codes(const Context& c) {
  constexpr int64_t kOneAxis = 13;
  const int64_t axis = attr_int(c.node, "axis", -1);
  const auto& shape = c.shape(0);
  if (c.model.opset() < kOneAxis) return std::nullopt;
  if (attr_int(c.node, "opset", 0) < kOneAxis && axis != -1 &&
      !(shape && axis == static_cast<int64_t>(shape->size()) - 1))
    return std::nullopt;
  return between(c, cat("z = Softmax <axis: int = ", axis, "> (r)"));
}

}  // namespace qtool::passes::contrib
