// Products of com.microsoft with what onnxruntime fuses into them.
#include "passes/contrib_functions.hpp"

namespace qtool::passes::contrib {
namespace {

// y = activation(s) with its parameters: numbers of one list, or attributes of their own.
std::optional<std::string> activated(const std::string& type, const std::vector<float>& numbers) {
  const auto number = [&](size_t i, float otherwise) {
    return exact(i < numbers.size() ? numbers[i] : otherwise);
  };
  if (type.empty()) return "y = Identity(s)";
  if (type == "Relu" || type == "Sigmoid" || type == "Tanh" || type == "Softplus" ||
      type == "Softsign")
    return cat("y = ", type, "(s)");
  if (type == "LeakyRelu" || type == "Elu" || type == "ThresholdedRelu")
    return cat("y = ", type, " <alpha: float = ", number(0, type == "LeakyRelu" ? 0.01f : 1.f),
               "> (s)");
  if (type == "Clip" && numbers.size() == 2)
    return cat("lo = Constant <value_float: float = ", number(0, 0),
               "> () hi = Constant <value_float: float = ", number(1, 0),
               "> () y = Clip(s, lo, hi)");
  if (type == "HardSigmoid")
    return cat("y = HardSigmoid <alpha: float = ", number(0, 0.2f),
               ", beta: float = ", number(1, 0.5f), "> (s)");
  return std::nullopt;
}

// Codes q times codes b, by their scales; zero points ap and bp and the bias may be left out. `quantize` makes q.
std::optional<Graph> integer_product(const Context& c, const std::string& inputs,
                                     const std::string& quantize, size_t b_point, bool a_point) {
  const std::string points =
      c.has(b_point) ? (a_point ? ", ap, bp" : ", , bp") : (a_point ? ", ap" : "");
  return graph_of(
      c, inputs, "y", "",
      cat(quantize, " i = MatMulInteger(q, b", points, ") f = Cast <to = 1> (i) s = Mul(as, bs) ",
          c.has(b_point + 1) ? "m = Mul(f, s) y = Add(m, bias)" : "y = Mul(f, s)"));
}

}  // namespace

// Convolution (+ z) and an activation.
std::optional<Graph> fused_conv(const Context& c) {
  const auto end = activated(attr_string(c.node, "activation", ""),
                             attr_floats(c.node, "activation_params", {}));
  if (!end) return std::nullopt;
  Graph g = graph_of(c, c.has(3) ? "x, w, b, z" : "x, w, b", "y", "",
                     cat(c.has(2) ? "k = Conv(x, w, b) " : "k = Conv(x, w) ",
                         c.has(3) ? "s = Add(k, z) " : "s = Identity(k) ", *end));
  for (const Attribute& attribute : c.node.attributes)
    if (!attribute.name.starts_with("activation")) g.nodes[0].attributes.push_back(attribute);
  return g;
}

// alpha · a · b, the last two axes of either turned.
std::optional<Graph> fused_matmul(const Context& c) {
  constexpr int64_t kEinsum = 12;
  if (attr_int(c.node, "transBatchA", 0) || attr_int(c.node, "transBatchB", 0) ||
      c.model.opset() < kEinsum)
    return std::nullopt;
  const auto operand = [&](const char* name, size_t slot, const char* flag) {
    if (!attr_int(c.node, flag, 0)) return cat(name, "t = Identity(", name, ") ");
    const auto& shape = c.shape(slot);
    if (shape && shape->size() == 1) return cat(name, "t = Identity(", name, ") ");
    return cat(name, "t = Einsum <equation = \"...ij->...ji\"> (", name, ") ");
  };
  return graph_of(c, "a, b", "y",
                  cat("float alpha = {", exact(attr_float(c.node, "alpha", 1)), "}"),
                  cat(operand("a", 0, "transA"), operand("b", 1, "transB"),
                      "p = MatMul(at, bt) y = Mul(p, alpha)"));
}

std::optional<Graph> fused_gemm(const Context& c) {
  std::vector<float> numbers;
  for (const char* name : {"activation_alpha", "activation_beta"})
    if (find_attribute(c.node, name)) numbers.push_back(attr_float(c.node, name, 0));
  const auto end = activated(attr_string(c.node, "activation", ""), numbers);
  if (!end) return std::nullopt;
  Graph g = graph_of(c, "a, b, k", "y", "",
                     cat(c.has(2) ? "s = Gemm(a, b, k) " : "s = Gemm(a, b) ", *end));
  for (const Attribute& attribute : c.node.attributes)
    if (!attribute.name.starts_with("activation")) g.nodes[0].attributes.push_back(attribute);
  return g;
}

std::optional<Graph> dynamic_product(const Context& c) {
  return integer_product(c, "a, b, bs, bp, bias", "q, as, ap = DynamicQuantizeLinear(a)", 3, true);
}

std::optional<Graph> product_of_codes(const Context& c) {
  return integer_product(c, "q, b, as, bs, ap, bp, bias", "", 5, c.has(4));
}

}  // namespace qtool::passes::contrib
