// Operators of com.microsoft that onnxruntime's optimizers leave in exported files, by operators of ONNX.
#include "passes/contrib_functions.hpp"

#include <charconv>
#include <cmath>

namespace qtool::passes {
namespace contrib {

Graph graph_of(const Context& c, const std::string& inputs, const std::string& outputs,
               const std::string& constants, const std::string& nodes) {
  return model_from_text(cat("<ir_version: 8, opset_import: [\"\": ", c.model.opset(), "]> f (",
                             inputs, ") => (", outputs, ") ",
                             constants.empty() ? "" : cat("<", constants, ">"), " {", nodes, "}"))
      .graph;
}

std::string exact(float number) {
  char text[32];
  return {text, std::to_chars(text, text + sizeof text, number).ptr};
}

// The mean over the last axis, whose axes are an input from opset 18 on.
static std::string mean(const Context& c, const std::string& of, const std::string& to) {
  return c.model.opset() >= 18 ? cat(to, " = ReduceMean(", of, ", last) ")
                               : cat(to, " = ReduceMean <axes = [-1]> (", of, ") ");
}

std::string normalization_constants(const Context& c, float epsilon) {
  return cat("float epsilon = {", exact(attr_float(c.node, "epsilon", epsilon)), "}",
             c.model.opset() >= 18 ? ", int64[1] last = {-1}" : "");
}

std::string normalized(const Context& c, bool centred) {
  return cat(centred ? mean(c, "s", "m") + "d = Sub(s, m) " : "d = Identity(s) ", "q = Mul(d, d) ",
             mean(c, "q", "v"), "e = Add(v, epsilon) r = Sqrt(e) n = Div(d, r) ");
}

}  // namespace contrib

namespace {

using contrib::Context;
using contrib::graph_of;
using contrib::normalization_constants;
using contrib::normalized;

std::optional<Graph> gelu(const Context& c) {
  const bool biased = c.has(1);
  return graph_of(
      c, biased ? "x, b" : "x", "y",
      "float half = {0.5}, float one = {1.0}, float root = {0.70710678118654752}",
      cat(biased ? "s = Add(x, b)" : "s = Identity(x)",
          " r = Mul(s, root) e = Erf(r) g = Add(e, one) h = Mul(s, half) y = Mul(h, g)"));
}

std::optional<Graph> fast_gelu(const Context& c) {
  const bool biased = c.has(1);
  return graph_of(c, biased ? "x, b" : "x", "y",
                  "float half = {0.5}, float one = {1.0}, float cube = {0.044715}, float k = "
                  "{0.79788456080286536}",
                  cat(biased ? "s = Add(x, b)" : "s = Identity(x)",
                      " q = Mul(s, s) a = Mul(q, cube) d = Add(a, one) t = Mul(s, d) u = Mul(t, k) "
                      "v = Tanh(u) g = Add(v, one) h = Mul(s, half) y = Mul(h, g)"));
}

std::optional<Graph> quick_gelu(const Context& c) {
  return graph_of(c, "x", "y",
                  cat("float alpha = {", contrib::exact(attr_float(c.node, "alpha", 1.702f)), "}"),
                  "a = Mul(x, alpha) s = Sigmoid(a) y = Mul(x, s)");
}

// input, skip, gamma, beta (of the centred one), bias → output, mean, deviation, sum.
std::optional<Graph> skip_normalization(const Context& c, bool centred) {
  const size_t bias = centred ? 4 : 3;
  if (c.makes(1) || c.makes(2)) return std::nullopt;
  const bool shifted = centred && c.has(3);
  return graph_of(c, cat("x, skip, gamma", centred ? ", beta" : "", ", bias"),
                  c.makes(3) ? "y, s" : "y", normalization_constants(c, 1e-12f),
                  cat(c.has(bias) ? "p = Add(x, skip) s = Add(p, bias) " : "s = Add(x, skip) ",
                      normalized(c, centred),
                      shifted ? "g = Mul(n, gamma) y = Add(g, beta)" : "y = Mul(n, gamma)"));
}

std::optional<Graph> simplified_normalization(const Context& c) {
  if (attr_int(c.node, "axis", -1) != -1 || c.makes(1)) return std::nullopt;
  return graph_of(c, "s, gamma", "y", normalization_constants(c, 1e-5f),
                  cat(normalized(c, false), "y = Mul(n, gamma)"));
}

struct ContribFunction {
  std::string_view type, domain;
  std::optional<Graph> (*graph)(const Context&);
};

constexpr const char* kMicrosoft = "com.microsoft";

const ContribFunction kFunctions[] = {
    {"Gelu", kMicrosoft, gelu},
    {"BiasGelu", kMicrosoft, gelu},
    {"FastGelu", kMicrosoft, fast_gelu},
    {"QuickGelu", kMicrosoft, quick_gelu},
    {"SkipLayerNormalization", kMicrosoft,
     [](const Context& c) { return skip_normalization(c, true); }},
    {"SkipSimplifiedLayerNormalization", kMicrosoft,
     [](const Context& c) { return skip_normalization(c, false); }},
    {"SimplifiedLayerNormalization", "", simplified_normalization},
    {"FusedConv", kMicrosoft, contrib::fused_conv},
    {"DynamicQuantizeMatMul", kMicrosoft, contrib::dynamic_product},
    {"MatMulIntegerToFloat", kMicrosoft, contrib::product_of_codes},
    {"FusedMatMul", kMicrosoft, contrib::fused_matmul},
    {"FusedGemm", kMicrosoft, contrib::fused_gemm},
    {"QuantizeLinear", kMicrosoft, contrib::quantize},
    {"DequantizeLinear", kMicrosoft, contrib::dequantize},
    {"QLinearSigmoid", kMicrosoft, contrib::sigmoid_of_codes},
    {"QLinearLeakyRelu", kMicrosoft, contrib::leaky_relu_of_codes},
    {"QLinearSoftmax", kMicrosoft, contrib::softmax_of_codes},
    {"MultiHeadAttention", kMicrosoft, contrib::multi_head_attention},
    {"Attention", kMicrosoft, contrib::attention},
    {"EmbedLayerNormalization", kMicrosoft, contrib::embeddings},
};

}  // namespace

std::optional<FunctionBody> contrib_function(const Model& model, const Node& node) {
  for (const ContribFunction& function : kFunctions) {
    if (!is(node, function.type, function.domain)) continue;
    auto graph = function.graph({model, node});
    if (!graph) return std::nullopt;
    return FunctionBody{std::move(*graph), {{"", model.opset()}}};
  }
  return std::nullopt;
}

}  // namespace qtool::passes
